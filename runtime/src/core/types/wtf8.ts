/**
 * Strings as bytes: UTF-8, and a surrogate without its partner, which UTF-8 cannot express, as the three bytes of its code point (what
 * is called WTF-8). So every string survives, no two strings have the same bytes, and bytes are in the order of code points.
 */

/** Puts the bytes from `at` on, where there must be room for three per UTF-16 unit; gives the index after them. */
export function putText(text: string, bytes: Buffer, at: number): number {
  const size = bytes.write(text, at, text.length * 3, 'utf8');
  // One byte per unit is ASCII. Otherwise there may be lone surrogates, for which the encoder put U+FFFD.
  return size === text.length || text.isWellFormed() ? at + size : putWithLoneSurrogates(text, bytes, at);
}

/** Undefined when the bytes are not what `putText` puts for any string. */
export function decodeText(bytes: Uint8Array): string | undefined {
  try {
    return decoder.decode(bytes);
  } catch {
    return decodeWithLoneSurrogates(bytes);
  }
}

/** A byte order mark is a character like any other here. */
const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

function putWithLoneSurrogates(text: string, bytes: Uint8Array, start: number): number {
  let at = start;
  // Iterating a string by code points gives a lone surrogate as itself.
  for (const character of text) {
    const code = character.codePointAt(0) ?? 0;
    if (code < 0x80) {
      bytes[at++] = code;
    } else if (code < 0x800) {
      bytes[at++] = 0xc0 | (code >> 6);
      bytes[at++] = 0x80 | (code & 0x3f);
    } else if (code < 0x10000) {
      bytes[at++] = 0xe0 | (code >> 12);
      bytes[at++] = 0x80 | ((code >> 6) & 0x3f);
      bytes[at++] = 0x80 | (code & 0x3f);
    } else {
      bytes[at++] = 0xf0 | (code >> 18);
      bytes[at++] = 0x80 | ((code >> 12) & 0x3f);
      bytes[at++] = 0x80 | ((code >> 6) & 0x3f);
      bytes[at++] = 0x80 | (code & 0x3f);
    }
  }
  return at;
}

/** Refuses what UTF-8 refuses, but for lone surrogates: of longer forms than needed and of split pairs there would be two for one string. */
function decodeWithLoneSurrogates(bytes: Uint8Array): string | undefined {
  let text = '';
  let previous = 0;
  for (let at = 0; at < bytes.length; ) {
    const first = bytes[at] as number;
    const size = first < 0x80 ? 1 : first < 0xc0 ? 0 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : first < 0xf5 ? 4 : 0;
    if (size === 0 || at + size > bytes.length) {
      return undefined;
    }
    let code = size === 1 ? first : first & (0xff >> (size + 1));
    for (let index = at + 1; index < at + size; index++) {
      const byte = bytes[index] as number;
      if ((byte & 0xc0) !== 0x80) {
        return undefined;
      }
      code = (code << 6) | (byte & 0x3f);
    }
    const isSplitPair = size === 3 && isHighSurrogate(previous) && isLowSurrogate(code);
    if (code < (smallestOfSize[size] as number) || code > 0x10ffff || isSplitPair) {
      return undefined;
    }
    text += String.fromCodePoint(code);
    previous = code;
    at += size;
  }
  return text;
}

const smallestOfSize = [0, 0, 0x80, 0x800, 0x10000];

function isHighSurrogate(code: number): boolean {
  return code >= 0xd800 && code < 0xdc00;
}

function isLowSurrogate(code: number): boolean {
  return code >= 0xdc00 && code < 0xe000;
}
