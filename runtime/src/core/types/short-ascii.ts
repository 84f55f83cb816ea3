/** Up to here a string is made from its characters at once; a longer one is left to the native decoder, whose call then costs less. */
export const shortAsciiCountMax = 32;

/** The string of `count` bytes that are all ASCII; undefined when one is not. `count` is at most `shortAsciiCountMax`. */
export type ReadShortAscii = (bytes: Uint8Array, start: number, count: number) => string | undefined;

/**
 * One case per length, each with one call that has that many arguments: V8 makes a flat string of them without an array, which costs a
 * third of the native decoder and of joining characters (whose result is a rope that the first comparison must flatten).
 */
export const readShortAscii: ReadShortAscii = compile();

function compile(): ReadShortAscii {
  const cases = Array.from({ length: shortAsciiCountMax }, (_, last) => {
    const names = Array.from({ length: last + 1 }, (_name, index) => `c${index}`);
    const reads = names.map((name, index) => `${name} = bytes[start + ${index}]`).join(', ');
    return `case ${last + 1}: { const ${reads}; return (${names.join(' | ')}) > 0x7f ? undefined : fromCharCode(${names.join(', ')}); }`;
  });
  const code = `'use strict'; return (bytes, start, count) => { switch (count) { case 0: return ''; ${cases.join('\n')} default: return undefined; } };`;
  return (new Function('fromCharCode', code) as (fromCharCode: typeof String.fromCharCode) => ReadShortAscii)(
    String.fromCharCode,
  );
}
