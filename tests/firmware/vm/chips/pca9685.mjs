/** A PCA9685 (NXP, rev. 4): what its registers make of its sixteen outputs.
 *
 * Not modelled, and refused: its second addresses, an external clock, inverted outputs, a change on ACK, and any state of
 * held-back outputs but low. It wakes at once, where the chip takes 500 µs.
 */
const [MODE1, MODE2, FIRST_LED, LAST_LED, FIRST_ALL, LAST_ALL, PRE_SCALE] = [0x00, 0x01, 0x06, 0x45, 0xfa, 0xfd, 0xfe];
const [RESTART, ONE_AFTER_ANOTHER, SLEEP, CALLED] = [0x80, 0x20, 0x10, 0x0f];
const TOTEM_POLE = 0x04;
const [ON_L, ON_H, OFF_L, OFF_H] = [0, 1, 2, 3];
const WHOLE = 0x10;
const LEAST_PRE_SCALE = 3;
const OSCILLATOR_HZ = 25e6;
const COUNTS = 4096;

export class Pca9685 {
  #registers = new Uint8Array(256);
  #shown = Array(16).fill("0 0");
  #stopped = true;

  /** `tell(number, share, periodUs)` hears each output change. */
  constructor({ enable }, gpio, tell) {
    this.enable = enable;
    this.gpio = gpio;
    this.tell = tell;
    this.#registers[MODE1] = SLEEP | 1;
    this.#registers[MODE2] = TOTEM_POLE;
    this.#registers[PRE_SCALE] = 0x1e;
    for (let number = 0; number < 16; number += 1) this.#registers[FIRST_LED + 4 * number + OFF_H] = WHOLE;
    gpio.wire([enable], () => this.#show());
  }

  /** One write to it, from its control register on; whether it acknowledges every byte. Outputs change on STOP. */
  write([register, ...bytes]) {
    let at = register;
    for (const byte of bytes) {
      if (!this.#put(at, byte)) return false;
      if (this.#registers[MODE1] & ONE_AFTER_ANOTHER) at = this.#after(at);
    }
    this.#show();
    return true;
  }

  #after(register) {
    return register === LAST_LED || register === PRE_SCALE ? MODE1 : register + 1;
  }

  #put(register, byte) {
    if (register === MODE1) this.#setMode(byte);
    else if (register === MODE2) this.#registers[MODE2] = only(byte, TOTEM_POLE);
    else if (register === PRE_SCALE) this.#setPreScale(byte);
    else if (register >= FIRST_LED && register <= LAST_LED) this.#setLed(register, byte);
    else if (register >= FIRST_ALL && register <= LAST_ALL) {
      for (let led = FIRST_LED; led < LAST_LED; led += 4) this.#setLed(led + register - FIRST_ALL, byte);
    } else return false;
    return true;
  }

  /** Put to sleep with outputs on, it says so by RESTART, and they stay off until they are restarted or written. */
  #setMode(byte) {
    const before = this.#registers[MODE1];
    only(byte, RESTART | ONE_AFTER_ANOTHER | SLEEP | CALLED);
    let restart = before & RESTART;
    if (byte & SLEEP && !(before & SLEEP) && this.#outputs().some((share) => share > 0)) restart = RESTART;
    else if (byte & RESTART && !(byte & SLEEP)) restart = 0;
    this.#registers[MODE1] = (byte & ~RESTART) | restart;
    this.#stopped = Boolean(byte & SLEEP || restart);
  }

  #setPreScale(byte) {
    if (this.#registers[MODE1] & SLEEP) this.#registers[PRE_SCALE] = Math.max(byte, LEAST_PRE_SCALE);
  }

  #setLed(register, byte) {
    this.#registers[register] = byte;
    this.#registers[MODE1] &= ~RESTART;
    this.#stopped = Boolean(this.#registers[MODE1] & SLEEP);
  }

  #outputs() {
    return Array.from({ length: 16 }, (_, number) => this.#share(FIRST_LED + 4 * number));
  }

  #share(led) {
    const byte = (place) => this.#registers[led + place];
    if (byte(OFF_H) & WHOLE) return 0;
    if (byte(ON_H) & WHOLE) return 1;
    const [on, off] = [byte(ON_L) | (byte(ON_H) & 0x0f) << 8, byte(OFF_L) | (byte(OFF_H) & 0x0f) << 8];
    return ((off - on + COUNTS) % COUNTS) / COUNTS;
  }

  #show() {
    const drives = !this.#stopped && !this.gpio.read(this.enable);
    const periodUs = Math.round((1e6 * COUNTS * (this.#registers[PRE_SCALE] + 1)) / OSCILLATOR_HZ);
    this.#outputs().forEach((share, number) => {
      const shown = drives ? share : 0;
      const signal = [shown, shown > 0 && shown < 1 ? periodUs : 0];
      if (this.#shown[number] === signal.join(" ")) return;
      this.#shown[number] = signal.join(" ");
      this.tell(number, ...signal);
    });
  }
}

/** The byte, which sets nothing but these bits. */
function only(byte, bits) {
  if (byte & ~bits) throw new Error(`not modelled: ${byte.toString(16)} in a mode register of a PCA9685`);
  return byte;
}
