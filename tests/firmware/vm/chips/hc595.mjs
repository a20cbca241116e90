/** 74HC595s in a row, with their pins as the settings name them (TI SCLS041).
 *
 * A rising CLOCK shifts DATA in; a rising LATCH shows at the outputs what was shifted. At power-on both registers hold
 * anything. While ENABLE is high no output is driven, and the drivers' pull-downs keep them low.
 */
export class Hc595 {
  #shifted;
  #latched;
  #shown;

  /** `tell(number, share, periodUs)` hears each output change. */
  constructor({ data, clock, latch, enable, chips }, gpio, tell) {
    this.pins = { data, clock, latch, enable };
    this.gpio = gpio;
    this.tell = tell;
    this.#shifted = Array.from({ length: 8 * chips }, (_, bit) => (bit % 3 ? 1 : 0));
    this.#latched = this.#shifted;
    this.#shown = this.#shifted.map(() => 0);
    gpio.wire([data, clock, latch, enable], (pin, level) => this.#hear(pin, level));
  }

  #hear(pin, level) {
    const { data, clock, latch, enable } = this.pins;
    if (pin === clock && level) this.#shifted = [this.gpio.read(data), ...this.#shifted.slice(0, -1)];
    if (pin === latch && level) this.#latched = this.#shifted;
    if (pin !== latch && pin !== enable) return;
    const drives = !this.gpio.read(enable);
    this.#latched.forEach((bit, number) => this.#show(number, drives ? bit : 0));
  }

  #show(number, level) {
    if (this.#shown[number] === level) return;
    this.#shown[number] = level;
    this.tell(number, level, 0);
  }
}
