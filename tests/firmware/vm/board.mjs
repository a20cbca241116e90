/** A board: MicroPython's VM on a flash, and behind the module `_pc` what it lacks of the ESP32 and what is wired to it. */
import { randomBytes } from "node:crypto";
import { loadMicroPython } from "@micropython/micropython-webassembly-pyscript/micropython.mjs";
import { Fitted } from "./chips/fitted.mjs";
import { Datagrams } from "./datagrams.mjs";
import { Flash } from "./flash.mjs";
import { Gpio } from "./gpio.mjs";
import { Sockets } from "./sockets.mjs";

/** Boot it: `place` is its folders `flash` and `modules` and how it is `wired`, as vm.mjs has it.
 *
 * `options` are loadMicroPython's, `own` what else is to be in `_pc`; `say` takes a line for the log, `tell` what becomes of an
 * output (gpio.mjs), `powerOff` is called when a write to the flash is where the power goes.
 */
export async function boot(place, { options, own, say, tell, powerOff }) {
  const mp = await loadMicroPython(options);
  const gpio = new Gpio(tell);
  const fitted = new Fitted(place.wired, gpio, () => performance.now());
  const [sockets, datagrams] = [new Sockets(), new Datagrams()];
  const flash = new Flash(mp.FS, place.flash, powerOff);
  for (const [line, level] of Object.entries(place.wired.levels ?? {})) fitted.drive(line, level);
  for (const [zone, celsius] of Object.entries(place.wired.celsius ?? {})) fitted.feel(zone, celsius);
  mp.registerJsModule("_pc", { ...pins(gpio, fitted), ...net(sockets, datagrams, say), ...own });
  for (const [name, type] of Object.entries({ "/flash": flash, "/pc": new Flash(mp.FS, place.modules, powerOff) })) {
    mp.FS.mkdir(name);
    mp.FS.mount(type, {}, name);
  }
  const setLink = (up) => [sockets, datagrams].forEach((wires) => wires.setLink(up));
  return { mp, gpio, fitted, flash, setLink };
}

function pins(gpio, fitted) {
  return {
    pin_read: (number) => gpio.read(number),
    pin_write: (number, level) => gpio.write(number, level),
    pin_pulse_width: (number, share, periodUs) => gpio.pulseWidth(number, share, periodUs),
    pin_on_edge: (number, trigger, handler) => gpio.onEdge(number, trigger, handler),
    i2c_write: (address, hex) => fitted.write(address, hex),
    wire_reset: (pin) => fitted.wire(pin).reset(),
    wire_write: (pin, bit) => fitted.wire(pin).writeBit(bit),
    wire_read: (pin) => fitted.wire(pin).readBit(),
    random: (size) => randomBytes(size).toString("hex"),
  };
}

function net(sockets, datagrams, say) {
  return {
    socket_connect: (host, port, changed) => sockets.connect(host, port, changed),
    socket_listen: (port, accepted) => sockets.listen(port, accepted, say),
    socket_watch: (id, changed) => sockets.watch(id, changed),
    socket_trust: (der) => sockets.trust(der),
    socket_secure: (id, authority, name) => sockets.secure(id, authority, name),
    socket_ready: (id) => sockets.ready(id),
    socket_read: (id, size) => sockets.read(id, size),
    socket_write: (id, hex) => sockets.write(id, hex),
    socket_close: (id) => sockets.close(id),
    datagrams_open: (own) => datagrams.open(own),
    datagrams_bind: (id, address, port) => datagrams.bind(id, address, port),
    datagrams_join: (id, group, own) => datagrams.join(id, group, own),
    datagrams_send: (id, hex, address, port) => datagrams.send(id, hex, address, port),
    datagrams_receive: (id) => datagrams.receive(id),
    datagrams_close: (id) => datagrams.close(id),
    link_is_up: () => sockets.isUp,
  };
}
