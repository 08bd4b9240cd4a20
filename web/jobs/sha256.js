// The SHA-256 of bytes, by the browser where it offers that, which it does on safe pages only. Pure.
const CONSTANTS = constants();

/** In hexadecimal digits. */
export async function sha256(bytes) {
  if (!globalThis.crypto?.subtle) return slowSha256(bytes);
  return hex(new Uint8Array(await crypto.subtle.digest("SHA-256", bytes)));
}

/** FIPS 180-4, section 6.2. */
export function slowSha256(bytes) {
  const state = Int32Array.from(CONSTANTS.initial);
  const words = new Int32Array(64);
  const whole = bytes.length - (bytes.length % 64);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  for (let at = 0; at < whole; at += 64) mix(state, words, view, at);
  const tail = new Uint8Array(bytes.length - whole < 56 ? 64 : 128);
  tail.set(bytes.subarray(whole));
  tail[bytes.length - whole] = 0x80;
  const end = new DataView(tail.buffer);
  end.setBigUint64(tail.length - 8, BigInt(bytes.length) * 8n);
  for (let at = 0; at < tail.length; at += 64) mix(state, words, end, at);
  return [...state].map((word) => (word >>> 0).toString(16).padStart(8, "0")).join("");
}

function mix(state, w, view, at) {
  for (let n = 0; n < 16; n++) w[n] = view.getInt32(at + 4 * n);
  for (let n = 16; n < 64; n++) {
    const x = w[n - 15];
    const y = w[n - 2];
    w[n] = w[n - 16] + (turn(x, 7) ^ turn(x, 18) ^ (x >>> 3)) + w[n - 7] + (turn(y, 17) ^ turn(y, 19) ^ (y >>> 10));
  }
  let [a, b, c, d, e, f, g, h] = state;
  for (let n = 0; n < 64; n++) {
    const one = (h + (turn(e, 6) ^ turn(e, 11) ^ turn(e, 25)) + ((e & f) ^ (~e & g)) + CONSTANTS.round[n] + w[n]) | 0;
    const two = ((turn(a, 2) ^ turn(a, 13) ^ turn(a, 22)) + ((a & b) ^ (a & c) ^ (b & c))) | 0;
    // Not by one assignment of arrays: that takes ten times as long.
    h = g;
    g = f;
    f = e;
    e = (d + one) | 0;
    d = c;
    c = b;
    b = a;
    a = (one + two) | 0;
  }
  [a, b, c, d, e, f, g, h].forEach((value, n) => (state[n] += value));
}

const turn = (word, by) => (word >>> by) | (word << (32 - by));
const hex = (bytes) => [...bytes].map((one) => one.toString(16).padStart(2, "0")).join("");

/** The first 32 bits of the fractions of square roots of the first 8 primes, and cube roots of 64. */
function constants() {
  const primes = [];
  for (let n = 2; primes.length < 64; n++) if (primes.every((one) => n % one)) primes.push(n);
  const fraction = (value) => ((value % 1) * 2 ** 32) | 0;
  return { initial: primes.slice(0, 8).map((one) => fraction(Math.sqrt(one))), round: Int32Array.from(primes, (one) => fraction(Math.cbrt(one))) };
}
