/** TCP and TLS for the VM: node's, seen through calls that never block. Bytes cross as hex: a text is cut at its NUL. */
import { X509Certificate } from "node:crypto";
import net from "node:net";
import tls from "node:tls";

/** What MicroPython's select calls them. */
const [POLLIN, POLLOUT, POLLERR, POLLHUP] = [1, 4, 8, 16];
/** As much as the ESP32's TCP takes before it makes a sender wait. */
const SEND_BUFFER = 5744;

export class Sockets {
  #open = new Map();
  #next = 1;
  #isUp = true;
  #authorities = [];

  /** Begin to connect; `changed` is called whenever `ready` may say something else. The number of the socket. */
  connect(host, port, changed) {
    const id = this.#next++;
    const one = { received: Buffer.alloc(0), ended: false, failed: false, changed };
    this.#open.set(id, one);
    if (this.#isUp) this.#use(one, net.connect({ host, port, noDelay: true }), "connect");
    else this.#fail(one);
    return id;
  }

  /** Listen on a free port of loopback, whatever `port` the device wants, and say which; `accepted` hears of each socket. */
  listen(port, accepted, say) {
    const server = net.createServer((wire) => {
      const id = this.#next++;
      const one = { received: Buffer.alloc(0), ended: false, failed: false, changed: () => {} };
      this.#open.set(id, one);
      this.#use(one, wire, "connect");
      one.isUp = true;
      accepted(id);
    });
    server.listen(0, "127.0.0.1", () => say(`# port ${port} is ${server.address().port}`));
    return () => server.close();
  }

  /** From now on `changed` is called whenever `ready` may say something else. */
  watch(id, changed) {
    this.#open.get(id).changed = changed;
  }

  /** Take these bytes for a certificate authority's: its number, 0 if they are none. On the ESP32 mbedTLS has them. */
  trust(der) {
    try {
      return this.#authorities.push(new X509Certificate(Buffer.from(der, "hex")).toString());
    } catch {
      return 0;
    }
  }

  /** TLS over a socket that is connected: the other side must be `name`, by the authority of this number. */
  secure(id, authority, name) {
    const one = this.#open.get(id);
    const plain = one.wire;
    plain.removeAllListeners();
    const ca = this.#authorities[authority - 1];
    this.#use(one, tls.connect({ socket: plain, ca, servername: name, minVersion: "TLSv1.2" }), "secureConnect");
  }

  /** Which of POLLIN, POLLOUT, POLLERR and POLLHUP hold. */
  ready(id) {
    const one = this.#open.get(id);
    if (one.failed) return POLLERR | POLLHUP | POLLIN;
    const canSend = one.isUp && one.wire.writableLength < SEND_BUFFER;
    return (one.received.length || one.ended ? POLLIN : 0) | (canSend ? POLLOUT : 0);
  }

  /** At most `size` bytes; "" when the other side has closed, null when there is nothing yet, false after a failure. */
  read(id, size) {
    const one = this.#open.get(id);
    if (!one.received.length) return one.failed ? false : one.ended ? "" : null;
    const taken = one.received.subarray(0, size);
    one.received = one.received.subarray(size);
    return taken.toString("hex");
  }

  /** How many bytes were taken; null when it has to wait, false after a failure. */
  write(id, hex) {
    const one = this.#open.get(id);
    if (one.failed || one.ended) return false;
    if (!(this.ready(id) & POLLOUT)) return null;
    one.wire.write(Buffer.from(hex, "hex"));
    return hex.length / 2;
  }

  close(id) {
    const one = this.#open.get(id);
    this.#open.delete(id);
    if (!one?.wire) return;
    one.changed = () => {};
    one.wire.end(() => one.wire.destroy());
  }

  get isUp() {
    return this.#isUp;
  }

  /** Down: what is connected breaks, and nothing more can be reached. */
  setLink(up) {
    this.#isUp = up;
    if (up) return;
    for (const one of this.#open.values()) one.wire?.destroy(new Error("the link is down"));
  }

  #use(one, wire, connected) {
    one.wire = wire;
    one.isUp = false;
    wire.on(connected, () => {
      one.isUp = true;
      one.changed();
    });
    wire.on("data", (data) => {
      one.received = Buffer.concat([one.received, data]);
      one.changed();
    });
    wire.on("end", () => {
      one.ended = true;
      one.changed();
    });
    wire.on("drain", () => one.changed());
    wire.on("error", (error) => {
      process.stderr.write(`# socket: ${error.message}\n`);
      this.#fail(one);
    });
  }

  #fail(one) {
    one.failed = true;
    one.changed();
  }
}

