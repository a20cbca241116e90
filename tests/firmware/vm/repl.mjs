/** A board at a prompt: `node repl.mjs FLASH MODULES LEVELS`, MicroPython's VM behind its raw REPL on stdin and stdout.
 *
 * The protocol is MicroPython's (docs.micropython.org, reference/repl), as far as mpremote speaks it without raw paste.
 * What runs, and the file system it runs on, is the VM's; what it lacks of the ESP32 is as in vm.mjs. A program that
 * calls asyncio.run is at its end when that is. stderr tells of each reset.
 */
import { randomBytes } from "node:crypto";
import { loadMicroPython } from "@micropython/micropython-webassembly-pyscript/micropython.mjs";
import { Flash } from "./flash.mjs";
import { Gpio } from "./gpio.mjs";
import { isCertificate, Sockets } from "./sockets.mjs";

const [INTERRUPT, RUN, PASTE, RAW, FRIENDLY] = ["\x03", "\x04", "\x05A\x01", "\x01", "\x02"];
const BANNER = "raw REPL; CTRL-B to exit\r\n>";
/** WASI's numbers of what can go wrong with a file, which Emscripten speaks, and the ESP32's. */
const NUMBERS = "{44: 2, 20: 17, 31: 21, 54: 20, 55: 39, 51: 28, 29: 5}";
const [folder, modules, levels] = process.argv.slice(2);
const tell = (line) => process.stderr.write(`${line}\n`);
let mp;
let running;
let ended = () => {};

async function boot() {
  const sockets = new Sockets();
  const gpio = new Gpio();
  gpio.write = () => {};
  for (const [number, level] of Object.entries(JSON.parse(levels))) gpio.drive(Number(number), level);
  mp = await loadMicroPython({ stdout: (data) => process.stdout.write(data), linebuffer: false });
  mp.registerJsModule("_pc", {
    pin_read: (number) => gpio.read(number),
    pin_write: (number, level) => gpio.write(number, level),
    pin_on_edge: (number, trigger, handler) => gpio.onEdge(number, trigger, handler),
    socket_connect: (host, port, changed) => sockets.connect(host, port, changed),
    socket_listen: (port, accepted) => sockets.listen(port, accepted, tell),
    socket_watch: (id, changed) => sockets.watch(id, changed),
    socket_secure: (id, der, name) => sockets.secure(id, der, name),
    socket_ready: (id) => sockets.ready(id),
    socket_read: (id, size) => sockets.read(id, size),
    socket_write: (id, hex) => sockets.write(id, hex),
    socket_close: (id) => sockets.close(id),
    link_is_up: () => sockets.isUp,
    is_certificate: isCertificate,
    random: (size) => randomBytes(size).toString("hex"),
    watch: () => () => {},
    reset: () => tell("# reset"),
    begin: () => (running = new Promise((resolve) => (ended = resolve))),
    end: () => ended(),
  });
  for (const [place, root] of [["/flash", folder], ["/pc", modules]]) {
    mp.FS.mkdir(place);
    mp.FS.mount(new Flash(mp.FS, root, () => process.exit(1)), {}, place);
  }
  mp.runPython(`
import os, sys
sys.path[:] = ['', '.frozen', '/pc']
os.chdir('/flash')
import asyncio, boot_pc, _pc
def run(program, begin=asyncio.run):
    _pc.begin()
    return begin(program)
asyncio.run = run

def numbered(call):
    def done(*args):
        try:
            return call(*args)
        except OSError as error:
            raise OSError(${NUMBERS}.get(error.errno, error.errno)) from None
    return done

for name in ("stat", "mkdir", "remove", "rmdir", "listdir", "ilistdir"):
    setattr(os, name, numbered(getattr(os, name)))
open = numbered(open)
`);
}

/** "OK", what it prints, and what it died of. */
async function run(code) {
  process.stdout.write("OK");
  let death = "";
  running = undefined;
  try {
    mp.runPython(code);
    await running;
  } catch (error) {
    death = error.message;
  }
  process.stdout.write(`\x04${death}\x04>`);
}

async function obey(typed) {
  if (typed === RAW) process.stdout.write(BANNER);
  else if (typed === FRIENDLY) process.stdout.write("\r\n>>> ");
  else if (typed === PASTE) process.stdout.write("R\x00");
  else if (typed === RUN) {
    await boot();
    process.stdout.write(`OK\r\nMPY: soft reboot\r\n${BANNER}`);
  } else await run(typed.slice(0, -1));
}

/** The first command in what was typed, and its length; null if there is none yet. What is typed before one is lost. */
function next(typed) {
  for (let end = 1; end <= typed.length; end += 1) {
    const last = typed[end - 1];
    if (last === INTERRUPT) return ["", end];
    if (last === RAW || last === FRIENDLY) return [last, end];
    if (typed.startsWith(PASTE)) return [PASTE, PASTE.length];
    if (last === RUN) return [typed.slice(0, end), end];
    if (PASTE.startsWith(typed)) return null;
  }
  return null;
}

await boot();
let typed = "";
for await (const data of process.stdin) {
  typed += data.toString("latin1");
  for (let found = next(typed); found; found = next(typed)) {
    typed = typed.slice(found[1]);
    if (found[0]) await obey(found[0]);
  }
}
