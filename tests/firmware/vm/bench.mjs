/** Chips on a work bench: `node bench.mjs WIRED STEPS` prints what they make of the steps, JSON a line.
 *
 * WIRED as vm.mjs has it. A step is a list, its first word one of: `pin N LEVEL` (the device moves a pin), `read N`,
 * `input LINE LEVEL`, `feel ZONE CELSIUS`, `i2c ADDRESS HEX`, `reset PIN`, `write PIN BYTE…` and `bytes PIN COUNT` on one wire,
 * `bit PIN`, `wait MS`, `shows` (every output of a chip that is not low).
 */
import { Fitted } from "./chips/fitted.mjs";
import { Gpio } from "./gpio.mjs";

const [wired, steps] = process.argv.slice(2).map((text) => JSON.parse(text));
const shown = new Map();
const BITS = [0, 1, 2, 3, 4, 5, 6, 7];
let ms = 0;

const gpio = new Gpio((line, share, periodUs) => (share ? shown.set(line, [share, periodUs]) : shown.delete(line)));
const fitted = new Fitted(wired, gpio, () => ms);

function readByte(wire) {
  return BITS.reduce((byte, place) => byte | (wire.readBit() << place), 0);
}

const ACTS = {
  pin: (number, level) => gpio.write(number, level),
  read: (number) => gpio.read(number),
  input: (line, level) => fitted.drive(line, level),
  feel: (zone, celsius) => fitted.feel(zone, celsius),
  i2c: (address, hex) => fitted.write(address, hex),
  reset: (pin) => fitted.wire(pin).reset(),
  write: (pin, ...bytes) => bytes.forEach((byte) => BITS.forEach((place) => fitted.wire(pin).writeBit((byte >> place) & 1))),
  bytes: (pin, count) => Array.from({ length: count }, () => readByte(fitted.wire(pin))),
  bit: (pin) => fitted.wire(pin).readBit(),
  wait: (time) => void (ms += time),
  shows: () => Object.fromEntries(shown),
};

for (const [verb, ...words] of steps) console.log(JSON.stringify(ACTS[verb](...words) ?? null));
