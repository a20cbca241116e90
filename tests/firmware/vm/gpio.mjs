/** The chip's pins: outputs are told to the cabinet on stdout as "NUMBER LEVEL" lines, inputs are what it says. */
import fs from "node:fs";

export const RISING = 1;
export const FALLING = 2;

export class Gpio {
  #levels = new Map();
  #handlers = new Map();

  /** A pin's level; one that nothing drives is pulled up. */
  read(number) {
    return this.#levels.get(number) ?? 1;
  }

  /** The line is in the pipe, safe from a kill of the VM, when this returns. */
  write(number, level) {
    if (this.#levels.get(number) === level) return;
    this.#levels.set(number, level);
    fs.writeSync(1, `${number} ${level}\n`);
  }

  onEdge(number, trigger, handler) {
    this.#handlers.set(number, { trigger, handler });
  }

  /** The cabinet moves an input. The handler runs between two steps of MicroPython's asyncio, never within one. */
  drive(number, level) {
    const before = this.read(number);
    this.#levels.set(number, level);
    const edge = this.#handlers.get(number);
    if (edge && level !== before && edge.trigger & (level ? RISING : FALLING)) edge.handler();
  }

  /** So many pulses to low, one after the other: a busy PC makes them longer, never shorter or fewer. */
  pulse(number, count, ms) {
    if (count === 0) return;
    this.drive(number, 0);
    setTimeout(() => {
      this.drive(number, 1);
      setTimeout(() => this.pulse(number, count - 1, ms), ms);
    }, ms);
  }
}
