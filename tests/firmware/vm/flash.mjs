/** The device's flash: a folder of the PC as a file system of the VM, by Emscripten's FS interface.
 *
 * What is written is with the PC's kernel when the call returns, so it outlives a kill of the VM. The power may be cut
 * in the middle of a write: `cutAt(writes, bytes)` lets so many more writes pass and ends with the next one's first
 * bytes.
 */
import fs from "node:fs";
import path from "node:path";

/** WASI's numbers, which Emscripten speaks, of what can happen on a small flash. */
const ERRORS = { ENOENT: 44, EEXIST: 20, ENOTEMPTY: 55, EISDIR: 31, ENOTDIR: 54, ENOSPC: 51 };
const EIO = 29;

export class Flash {
  #writes = Infinity;
  #bytes = 0;

  constructor(FS, folder, powerOff) {
    this.FS = FS;
    this.folder = folder;
    this.powerOff = powerOff;
    this.node_ops = this.#nodeOperations();
    this.stream_ops = this.#streamOperations();
  }

  cutAt(writes, bytes) {
    this.#writes = writes;
    this.#bytes = bytes;
  }

  /** For FS.mount. */
  mount() {
    return this.#node(null, "/", fs.lstatSync(this.folder).mode);
  }

  #node(parent, name, mode) {
    const node = this.FS.createNode(parent, name, mode, 0);
    node.node_ops = this.node_ops;
    node.stream_ops = this.stream_ops;
    return node;
  }

  #path(node, name = "") {
    const parts = [name];
    for (; node.parent !== node; node = node.parent) parts.unshift(node.name);
    return path.join(this.folder, ...parts);
  }

  #try(act) {
    try {
      return act();
    } catch (error) {
      if (!error.code) throw error;
      throw new this.FS.ErrnoError(ERRORS[error.code] ?? EIO);
    }
  }

  #nodeOperations() {
    return {
      getattr: (node) =>
        this.#try(() => {
          const { mode, size, atime, mtime, ctime } = fs.lstatSync(this.#path(node));
          return { dev: 1, ino: node.id, mode, nlink: 1, uid: 0, gid: 0, rdev: 0, size, atime, mtime, ctime, blksize: 4096, blocks: 1 };
        }),
      setattr: (node, attributes) => {
        if (attributes.size === undefined) return;
        this.#write(0, () => this.#try(() => fs.truncateSync(this.#path(node), attributes.size)));
      },
      lookup: (parent, name) =>
        this.#node(parent, name, this.#try(() => fs.lstatSync(this.#path(parent, name)).mode)),
      mknod: (parent, name, mode) => {
        const made = this.#path(parent, name);
        this.#try(() => (this.FS.isDir(mode) ? fs.mkdirSync(made) : fs.writeFileSync(made, "", { flag: "wx" })));
        return this.#node(parent, name, mode);
      },
      rename: (node, parent, name) => {
        this.#write(0, () => this.#try(() => fs.renameSync(this.#path(node), this.#path(parent, name))));
        node.name = name;
      },
      unlink: (parent, name) => this.#try(() => fs.unlinkSync(this.#path(parent, name))),
      rmdir: (parent, name) => this.#try(() => fs.rmdirSync(this.#path(parent, name))),
      readdir: (node) => this.#try(() => [".", "..", ...fs.readdirSync(this.#path(node))]),
    };
  }

  #streamOperations() {
    return {
      open: (stream) => {
        if (this.FS.isFile(stream.node.mode)) stream.host = this.#try(() => fs.openSync(this.#path(stream.node), "r+"));
      },
      close: (stream) => {
        if (stream.host !== undefined) fs.closeSync(stream.host);
      },
      read: (stream, buffer, offset, length, position) =>
        this.#try(() => fs.readSync(stream.host, new Uint8Array(buffer.buffer, offset, length), 0, length, position)),
      write: (stream, buffer, offset, length, position) => {
        const data = new Uint8Array(buffer.buffer, offset, length);
        const put = (size) => this.#try(() => fs.writeSync(stream.host, data, 0, size, position));
        return this.#write(length, put);
      },
      llseek: (stream, offset, whence) => {
        const size = whence === 2 ? fs.fstatSync(stream.host).size : 0;
        return offset + (whence === 1 ? stream.position : size);
      },
      fsync: () => 0,
    };
  }

  /** One change of the flash of `length` bytes: all of it, or what the power is there for. */
  #write(length, put) {
    if (this.#writes-- > 0) return put(length);
    if (length) put(Math.min(this.#bytes, length));
    this.powerOff();
  }
}
