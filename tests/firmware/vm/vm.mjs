/** One boot of a device: `node vm.mjs FLASH MODULES WIRED [CUT]` runs FLASH/main.py in MicroPython's VM until it is killed.
 *
 * FLASH is the folder with the device's files, MODULES the one with what the VM lacks of the ESP32. WIRED is JSON: `expanders`
 * and `temperatures` as in the settings, `levels` of the inputs by their lines and `celsius` by zone at power-on. CUT is
 * "WRITES BYTES" as `cut` has it (flash.mjs).
 *
 * stderr is the serial line. stdout tells of each output that changes: LINE SHARE PERIOD_US (gpio.mjs). On stdin the cabinet says:
 * `input LINE LEVEL`, `pulse N COUNT MS`, `feel ZONE CELSIUS`, `short N LEVEL`, `unplug ADDRESS`, `link up`, `link down`,
 * `cut WRITES BYTES`, `heap`; its end is the end of the VM.
 */
import fs from "node:fs";
import readline from "node:readline";
import { boot } from "./board.mjs";

/** The signal says why the device ends: it restarts itself, the watchdog bites, the program is over.
 * By a signal, for `process.exit` may wait for ever for the threads that compile the VM's hot code. */
const [RESET, WATCHDOG, ENDED] = ["SIGTERM", "SIGALRM", "SIGHUP"];
const end = (signal) => process.kill(process.pid, signal);
/** What an ESP32-WROOM-32 gives to Python at boot, about. This VM takes more if it has to. */
const HEAP_BYTES = 160 * 1024;

const [folder, modules, wired, cut] = process.argv.slice(2);
const say = (line) => fs.writeSync(2, `${line}\n`);
/** The line is in the pipe, safe from a kill of the VM, when this returns. */
const tell = (line, share, periodUs) => fs.writeSync(1, `${line} ${share} ${periodUs}\n`);
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

function watch(timeout_ms) {
  const bites = setTimeout(() => end(WATCHDOG), timeout_ms);
  return () => bites.refresh();
}

const powerOff = () => end("SIGKILL");
const { mp, gpio, fitted, flash, setLink } = await boot(
  { flash: folder, modules, wired: JSON.parse(wired) },
  {
    options: { heapsize: HEAP_BYTES, stdout: hear, stderr: say, linebuffer: true },
    own: { watch, reset: () => end(RESET), end: () => end(ENDED) },
    say,
    tell,
    powerOff,
  },
);

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
  if (verb === "input") fitted.drive(words[0], numbers[1]);
  else if (verb === "pulse") gpio.pulse(...numbers);
  else if (verb === "feel") fitted.feel(words[0], numbers[1]);
  else if (verb === "short") gpio.short(...numbers);
  else if (verb === "unplug") fitted.unplug(...numbers);
  else if (verb === "link") setLink(words[0] === "up");
  else if (verb === "cut") flash.cutAt(...numbers);
  else if (verb === "heap") tellHeap();
  else throw new Error(`not understood: ${line}`);
}

if (cut) flash.cutAt(...cut.split(" ").map(Number));
const commands = readline.createInterface({ input: process.stdin });
commands.on("line", obey);
commands.on("close", powerOff);
mp.runPython("import sys; sys.path[:] = ['/flash', '.frozen', '/pc']; import os; os.chdir('/flash'); import boot_pc");
// On the ESP32 these are in ROM: of what is on the heap from here on, all is the firmware's.
mp.runPython("import machine, network, onewire, socket, ssl");
tellHeap();
mp.runPython("import main");
