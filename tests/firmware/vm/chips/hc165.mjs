/** 74HC165s in a row, with their pins as the settings name them (TI SCLS116); a switch closes an input to ground.
 *
 * While LOAD is low the registers follow the inputs, and the clock moves nothing. While it is high they hold, and a rising
 * CLOCK shifts them towards QH, which is the first chip's D7 at first. The last chip's serial input is tied to ground.
 */
export class Hc165 {
  #inputs;
  #held;

  constructor({ data, clock, latch, chips }, gpio) {
    this.pins = { data, clock, load: latch };
    this.gpio = gpio;
    this.#inputs = Array(8 * chips).fill(1);
    this.#held = [...this.#inputs];
    gpio.wire([clock, latch], (pin, level) => this.#hear(pin, level));
    this.#follow();
  }

  /** An input's level: n is D(n mod 8) of chip n // 8. */
  set(number, level) {
    this.#inputs[number] = level;
    if (!this.gpio.read(this.pins.load)) this.#follow();
  }

  #hear(pin, level) {
    const loads = !this.gpio.read(this.pins.load);
    if (pin === this.pins.load && loads) this.#follow();
    if (pin === this.pins.clock && level && !loads) {
      this.#held = [...this.#held.slice(1), 0];
      this.#show();
    }
  }

  #follow() {
    this.#held = this.#inputs.map((_, place) => this.#inputs[place ^ 7]);
    this.#show();
  }

  #show() {
    this.gpio.drive(this.pins.data, this.#held[0]);
  }
}
