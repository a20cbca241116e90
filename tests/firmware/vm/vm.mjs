/** One boot of a device: `node vm.mjs FLASH MODULES LEVELS [CUT]` runs FLASH/main.py in MicroPython's VM until it is killed.
 *
 * FLASH is the folder with the device's files, MODULES the one with what the VM lacks of the ESP32, LEVELS the inputs'
 * levels at power-on as JSON, CUT "WRITES BYTES" as `cut` has it (flash.mjs). stderr is the serial line. On stdin the cabinet says: `pin N LEVEL`, `pulse N COUNT MS`,
 * `link up`, `link down`, `cut WRITES BYTES` (see flash.mjs), `heap`; its end is the end of the VM.
 */
import { randomBytes } from "node:crypto";
import fs from "node:fs";
import readline from "node:readline";
import { loadMicroPython } from "@micropython/micropython-webassembly-pyscript/micropython.mjs";
import { Flash } from "./flash.mjs";
import { Gpio } from "./gpio.mjs";
import { isCertificate, Sockets } from "./sockets.mjs";

/** The signal says why the device ends: it restarts itself, the watchdog bites, the program is over.
 * By a signal, for `process.exit` may wait for ever for the threads that compile the VM's hot code. */
const [RESET, WATCHDOG, ENDED] = ["SIGTERM", "SIGALRM", "SIGHUP"];
const end = (signal) => process.kill(process.pid, signal);
/** What an ESP32-WROOM-32 gives to Python at boot, about. This VM takes more if it has to. */
const HEAP_BYTES = 160 * 1024;

const [folder, modules, levels, cut] = process.argv.slice(2);
const say = (line) => fs.writeSync(2, `${line}\n`);
process.on("uncaughtException", (error) => {
  say(error.stack);
  end(ENDED);
});
/** How many names MicroPython has made so far: that it only prints. */
let names = 0;
function hear(line) {
  if (line.startsWith("qstr pool:")) names = Number(/n_qstr=(\d+)/.exec(line)[1]);
  else say(line);
}
const mp = await loadMicroPython({ heapsize: HEAP_BYTES, stdout: hear, stderr: say, linebuffer: true });
const powerOff = () => end("SIGKILL");
const flash = new Flash(mp.FS, folder, powerOff);
const gpio = new Gpio();
const sockets = new Sockets();

function mount(type, place) {
  mp.FS.mkdir(place);
  mp.FS.mount(type, {}, place);
}

function watch(timeout_ms) {
  const bites = setTimeout(() => end(WATCHDOG), timeout_ms);
  return () => bites.refresh();
}

function tellHeap() {
  // Only between two calls into the VM does its collector see all that is live.
  mp.runPython("import gc; gc.collect()");
  mp.runPython("bytes = gc.mem_alloc(); import json, sys");
  mp.runPython("modules = [name[8:] for name in sys.modules if name.startswith('vending.')]");
  mp.runPython("import micropython; micropython.qstr_info()");
  mp.runPython(`print(json.dumps({'event': 'heap', 'bytes': bytes, 'names': ${names}, 'modules': modules}))`);
}

function obey(line) {
  const [verb, ...words] = line.split(" ");
  const numbers = words.map(Number);
  if (verb === "pin") gpio.drive(...numbers);
  else if (verb === "pulse") gpio.pulse(...numbers);
  else if (verb === "link") sockets.setLink(words[0] === "up");
  else if (verb === "cut") flash.cutAt(...numbers);
  else if (verb === "heap") tellHeap();
  else throw new Error(`not understood: ${line}`);
}

mp.registerJsModule("_pc", {
  pin_read: (number) => gpio.read(number),
  pin_write: (number, level) => gpio.write(number, level),
  pin_on_edge: (number, trigger, handler) => gpio.onEdge(number, trigger, handler),
  socket_connect: (host, port, changed) => sockets.connect(host, port, changed),
  socket_listen: (port, accepted) => sockets.listen(port, accepted, say),
  socket_watch: (id, changed) => sockets.watch(id, changed),
  socket_secure: (id, der, name) => sockets.secure(id, der, name),
  socket_ready: (id) => sockets.ready(id),
  socket_read: (id, size) => sockets.read(id, size),
  socket_write: (id, hex) => sockets.write(id, hex),
  socket_close: (id) => sockets.close(id),
  link_is_up: () => sockets.isUp,
  is_certificate: isCertificate,
  random: (size) => randomBytes(size).toString("hex"),
  watch,
  reset: () => end(RESET),
  end: () => end(ENDED),
});
for (const [number, level] of Object.entries(JSON.parse(levels))) gpio.drive(Number(number), level);
if (cut) flash.cutAt(...cut.split(" ").map(Number));
mount(flash, "/flash");
mount(new Flash(mp.FS, modules, powerOff), "/pc");
const commands = readline.createInterface({ input: process.stdin });
commands.on("line", obey);
commands.on("close", powerOff);
mp.runPython("import sys; sys.path[:] = ['/flash', '.frozen', '/pc']; import os; os.chdir('/flash'); import boot_pc");
// On the ESP32 these are in ROM: of what is on the heap from here on, all is the firmware's.
mp.runPython("import machine, network, socket, ssl");
tellHeap();
mp.runPython("import main");
