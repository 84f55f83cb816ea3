import { stripVTControlCharacters } from 'node:util';

const graphemes = new Intl.Segmenter(undefined, { granularity: 'grapheme' });
const onlyAscii = /^[\x20-\x7e]*$/;
/** Characters that a terminal draws two columns wide. */
const wide =
  /[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Hangul}\u3000-\u303f\uff01-\uff60\uffe0-\uffe6]|\p{Emoji_Presentation}|\p{Extended_Pictographic}\ufe0f/u;
const invisible = /^[\p{Mark}\p{Format}]+$/u;

/** Columns that `text` takes on a terminal; without control characters (see `printable`). */
export function textWidth(text: string): number {
  if (onlyAscii.test(text)) {
    return text.length;
  }
  let width = 0;
  for (const { segment } of graphemes.segment(text)) {
    width += graphemeWidth(segment);
  }
  return width;
}

function graphemeWidth(grapheme: string): number {
  return wide.test(grapheme) ? 2 : invisible.test(grapheme) ? 0 : 1;
}

/** The beginning of `text` that fits into `width` columns; what does not fit ends in `…`. */
export function truncate(text: string, width: number): string {
  if (textWidth(text) <= width) {
    return text;
  }
  if (width <= 0) {
    return '';
  }
  let kept = '';
  let used = 0;
  for (const { segment } of graphemes.segment(text)) {
    const next = graphemeWidth(segment);
    if (used + next > width - 1) {
      break;
    }
    kept += segment;
    used += next;
  }
  return `${kept}…`;
}

/** Exactly `width` columns. */
export function fit(text: string, width: number, align: 'left' | 'right' = 'left'): string {
  const kept = truncate(text, width);
  const padding = ' '.repeat(Math.max(0, width - textWidth(kept)));
  return align === 'left' ? kept + padding : padding + kept;
}

/** Text from outside without anything that could move the cursor or change colours: a job prints what it likes. */
export function printable(text: string): string {
  return stripVTControlCharacters(text)
    .replaceAll('\t', '  ')
    .replace(/\p{Control}/gu, '');
}

/** Breaks at spaces into lines of at most `width` columns; a longer word is cut. */
export function wrap(text: string, width: number): readonly string[] {
  const lines: string[] = [];
  let line = '';
  for (const word of text.split(/\s+/).filter(Boolean)) {
    const joined = line === '' ? word : `${line} ${word}`;
    if (textWidth(joined) <= width) {
      line = joined;
      continue;
    }
    if (line !== '') {
      lines.push(line);
    }
    line = truncate(word, Math.max(1, width));
  }
  return line === '' ? lines : [...lines, line];
}
