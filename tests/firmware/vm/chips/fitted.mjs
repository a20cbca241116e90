/** The chips of a cabinet, fitted to the board's pins by the pin map of its settings (firmware/README.md). */
import { Ds18b20, OneWire } from "./ds18b20.mjs";
import { Hc165 } from "./hc165.mjs";
import { Hc595 } from "./hc595.mjs";
import { Pca9685 } from "./pca9685.mjs";

const LONE_ROM = "28000000000003fc";

export class Fitted {
  #inputs = new Map();
  #bus = new Map();
  #wires = new Map();
  #sensors = new Map();

  /** `expanders` and `temperatures` as in the settings, or undefined. `now` tells the time in ms. */
  constructor({ expanders = {}, temperatures }, gpio, now) {
    this.gpio = gpio;
    for (const [name, wired] of Object.entries(expanders)) this.#fit(name, wired);
    if (!temperatures) return;
    for (const [zone, rom] of Object.entries(temperatures.zones)) {
      this.#sensors.set(zone, new Ds18b20(rom ?? LONE_ROM, now));
    }
    this.#wires.set(temperatures.pin, new OneWire([...this.#sensors.values()]));
  }

  #fit(name, wired) {
    const tell = (number, share, periodUs) => this.gpio.tell(`${name}:${number}`, share, periodUs);
    if (wired.kind === "74hc595") new Hc595(wired, this.gpio, tell);
    else if (wired.kind === "74hc165") this.#inputs.set(name, new Hc165(wired, this.gpio));
    else if (wired.kind === "pca9685") this.#bus.set(wired.address, new Pca9685(wired, this.gpio, tell));
    else throw new Error(`no chip: ${wired.kind}`);
  }

  /** The level of an input: a pin, or an expander's. */
  drive(line, level) {
    const [name, number] = line.split(":");
    if (number === undefined) this.gpio.drive(Number(line), level);
    else this.#inputs.get(name).set(Number(number), level);
  }

  /** What the sensor of a zone feels from now on. */
  feel(zone, celsius) {
    this.#sensors.get(zone).feel(celsius);
  }

  /** One write over I²C; whether a chip acknowledges it. */
  write(address, hex) {
    return this.#bus.get(address)?.write(Buffer.from(hex, "hex")) ?? false;
  }

  /** The chip at this address hears nothing more: its wires to the bus are off. */
  unplug(address) {
    this.#bus.delete(address);
  }

  /** The one-wire bus at this pin. One without sensors stays high. */
  wire(pin) {
    return this.#wires.get(pin) ?? new OneWire([]);
  }
}
