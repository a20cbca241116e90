/** The chip's pins, and the wires to them: what the cabinet and the other chips put on them, and who hears them change. */

export const RISING = 1;
export const FALLING = 2;

export class Gpio {
  #levels = new Map();
  #handlers = new Map();
  #heard = new Map();
  #shorted = new Set();

  /** `tell(line, share, periodUs)` hears what the device makes of a pin that leads to no chip: the share of each period in
   * which it is high. What is high or low throughout has no period. */
  constructor(tell) {
    this.tell = tell;
  }

  /** A pin's level; one that nothing drives is pulled up. */
  read(number) {
    return this.#levels.get(number) ?? 1;
  }

  /** The device moves an output. */
  write(number, level) {
    if (this.#shorted.has(number) || this.#levels.get(number) === level) return;
    this.#levels.set(number, level);
    const hear = this.#heard.get(number);
    if (hear) hear(number, level);
    else this.tell(number, level, 0);
  }

  /** Its hardware moves it from here on: no level to read. */
  pulseWidth(number, share, periodUs) {
    this.#levels.delete(number);
    if (!this.#shorted.has(number)) this.tell(number, share, periodUs);
  }

  /** These pins lead to a chip, which hears each change. */
  wire(numbers, hear) {
    for (const number of numbers) this.#heard.set(number, hear);
  }

  onEdge(number, trigger, handler) {
    this.#handlers.set(number, { trigger, handler });
  }

  /** The cabinet moves an input. The handler runs between two steps of MicroPython's asyncio, never within one. */
  drive(number, level) {
    const before = this.read(number);
    if (this.#shorted.has(number)) return;
    this.#levels.set(number, level);
    const edge = this.#handlers.get(number);
    if (edge && level !== before && edge.trigger & (level ? RISING : FALLING)) edge.handler();
  }

  /** From now on the pin is at this level, whoever drives it. */
  short(number, level) {
    this.#levels.set(number, level);
    this.#shorted.add(number);
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
