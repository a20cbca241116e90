/** DS18B20s on one wire, bit by bit (Maxim 19-7487): reset, skip or match ROM, measure, read the scratchpad. */
const [SKIP_ROM, MATCH_ROM, CONVERT, READ] = [0xcc, 0x55, 0x44, 0xbe];
const POWER_ON = 85 * 16;
const MEASURING_MS = 750;
/** The lowest goes first over the wire. */
const BITS = [0, 1, 2, 3, 4, 5, 6, 7];
/** Alarms, configuration for 12 bits, reserved bytes: as the factory leaves them. */
const REST_OF_SCRATCHPAD = [0x4b, 0x46, 0x7f, 0xff, 0x0c, 0x10];

/** The wire: what anybody pulls low is low. */
export class OneWire {
  constructor(sensors) {
    this.sensors = sensors;
  }

  /** Whether anybody answers that it is there. */
  reset() {
    for (const sensor of this.sensors) sensor.reset();
    return this.sensors.length > 0;
  }

  writeBit(bit) {
    for (const sensor of this.sensors) sensor.hear(bit);
  }

  readBit() {
    return this.sensors.reduce((level, sensor) => level & sensor.say(), 1);
  }
}

export class Ds18b20 {
  #felt = POWER_ON;
  #measured = POWER_ON;
  #measuring = null;
  #readyAt = -Infinity;
  #wasAskedToMeasure = false;
  #next = () => {};
  #heard = [];
  #toSay = [];

  /** `rom`: its code as 16 hex digits; `now` tells the time in ms. */
  constructor(rom, now) {
    this.rom = Buffer.from(rom, "hex");
    this.now = now;
  }

  /** What it would measure from now on. */
  feel(celsius) {
    this.#felt = Math.round(celsius * 16);
  }

  reset() {
    this.#toSay = [];
    this.#wasAskedToMeasure = false;
    this.#listen(1, ([command]) => {
      if (command === SKIP_ROM) this.#listen(1, ([asked]) => this.#obey(asked));
      else if (command === MATCH_ROM) {
        this.#listen(8, (rom) => Buffer.from(rom).equals(this.rom) && this.#listen(1, ([asked]) => this.#obey(asked)));
      }
    });
  }

  hear(bit) {
    this.#heard.push(bit);
    this.#next();
  }

  /** Who has nothing to say leaves the wire high; who was asked to measure says 0 until it has. */
  say() {
    return this.#toSay.shift() ?? (this.#wasAskedToMeasure && this.now() < this.#readyAt ? 0 : 1);
  }

  /** What comes after `count` bytes, the lowest bit of each first. */
  #listen(count, then) {
    this.#heard = [];
    this.#next = () => {
      if (this.#heard.length < 8 * count) return;
      const bytes = Array.from({ length: count }, (_, at) => this.#byte(8 * at));
      this.#next = () => {};
      then(bytes);
    };
  }

  #byte(from) {
    return this.#heard.slice(from, from + 8).reduce((byte, bit, place) => byte | (bit << place), 0);
  }

  #obey(command) {
    if (command === CONVERT) {
      this.#measuring = this.#felt;
      this.#wasAskedToMeasure = true;
      this.#readyAt = this.now() + MEASURING_MS;
    } else if (command === READ) this.#toSay = this.#scratchpad().flatMap((byte) => BITS.map((place) => (byte >> place) & 1));
  }

  #scratchpad() {
    if (this.#measuring !== null && this.now() >= this.#readyAt) {
      this.#measured = this.#measuring;
      this.#measuring = null;
    }
    const scratch = [this.#measured & 0xff, (this.#measured >> 8) & 0xff, ...REST_OF_SCRATCHPAD];
    return [...scratch, crc8(scratch)];
  }
}

/** Maxim's, polynomial x⁸ + x⁵ + x⁴ + 1. */
function crc8(bytes) {
  let crc = 0;
  for (const byte of bytes) {
    for (const place of BITS) crc = (crc >> 1) ^ ((crc ^ (byte >> place)) & 1 ? 0x8c : 0);
  }
  return crc;
}
