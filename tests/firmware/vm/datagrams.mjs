/** UDP for the VM: node's, on the loopback of this PC, seen through calls that never block. Bytes cross as hex. */
import dgram from "node:dgram";

const ANY = "0.0.0.0";
const GROUP = "224.0.0.251";

export class Datagrams {
  #open = new Map();
  #next = 1;
  #isUp = true;

  /** The number of a new socket, whose multicasts go out from the address `own`. */
  open(own) {
    const id = this.#next++;
    const wire = dgram.createSocket({ type: "udp4", reuseAddr: true });
    const one = { wire, received: [], hears: true };
    wire.on("listening", () => wire.setMulticastInterface(own));
    wire.on("message", (data, from) => {
      if (this.#isUp && one.hears) one.received.push(`${from.address} ${from.port} ${data.toString("hex")}`);
    });
    wire.on("error", (error) => process.stderr.write(`# datagrams: ${error.message}\n`));
    this.#open.set(id, one);
    return id;
  }

  /** As told; like lwIP's, a socket that is bound to the board's own address hears no multicast. One that is bound to any
   * address hears only that, once it has joined: the port is shared with this PC's other processes, whose unicast is not for
   * it, and for whom the PC has joined already. */
  bind(id, address, port) {
    const one = this.#open.get(id);
    one.hears = address !== ANY;
    one.wire.bind({ address: one.hears ? address : GROUP, port });
  }

  join(id, group, own) {
    const one = this.#open.get(id);
    one.hears = true;
    one.wire.once("listening", () => one.wire.addMembership(group, own));
  }

  send(id, hex, address, port) {
    if (this.#isUp) this.#open.get(id).wire.send(Buffer.from(hex, "hex"), port, address);
  }

  /** The oldest datagram that waits, as "ADDRESS PORT HEX"; null if there is none. */
  receive(id) {
    return this.#open.get(id).received.shift() ?? null;
  }

  close(id) {
    this.#open.get(id).wire.close();
    this.#open.delete(id);
  }

  setLink(up) {
    this.#isUp = up;
  }
}
