/** A board at a prompt: `node repl.mjs FLASH MODULES WIRED`, MicroPython's VM behind its raw REPL on stdin and stdout.
 *
 * The protocol is MicroPython's (docs.micropython.org, reference/repl), as far as mpremote speaks it without raw paste.
 * What runs, and the file system it runs on, is the VM's; what it lacks of the ESP32 is as in vm.mjs. A program that
 * calls asyncio.run is at its end when that is. stderr tells of each reset.
 */
import { boot } from "./board.mjs";

const [INTERRUPT, RUN, PASTE, RAW, FRIENDLY] = ["\x03", "\x04", "\x05A\x01", "\x01", "\x02"];
const BANNER = "raw REPL; CTRL-B to exit\r\n>";
/** WASI's numbers of what can go wrong with a file, which Emscripten speaks, and the ESP32's. */
const NUMBERS = "{44: 2, 20: 17, 31: 21, 54: 20, 55: 39, 51: 28, 29: 5}";
const [flash, modules, wired] = process.argv.slice(2);
const say = (line) => process.stderr.write(`${line}\n`);
let mp;
let running;
let ended = () => {};

async function start() {
  const place = { flash, modules, wired: JSON.parse(wired) };
  const own = {
    watch: () => () => {},
    reset: () => say("# reset"),
    begin: () => (running = new Promise((resolve) => (ended = resolve))),
    end: () => ended(),
  };
  const options = { stdout: (data) => process.stdout.write(data), linebuffer: false };
  ({ mp } = await boot(place, { options, own, say, tell: () => {}, powerOff: () => process.exit(1) }));
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
    await start();
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

await start();
let typed = "";
for await (const data of process.stdin) {
  typed += data.toString("latin1");
  for (let found = next(typed); found; found = next(typed)) {
    typed = typed.slice(found[1]);
    if (found[0]) await obey(found[0]);
  }
}
