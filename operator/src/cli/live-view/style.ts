/** What a piece of text means; the palette decides how that looks. */
export type Tone = 'plain' | 'strong' | 'quiet' | 'good' | 'busy' | 'bad' | 'accent';

export interface Segment {
  readonly text: string;
  readonly tone: Tone;
}

export type Line = readonly Segment[];

const codes: Readonly<Record<Tone, string>> = {
  plain: '',
  strong: '1',
  quiet: '2',
  good: '32',
  busy: '33',
  bad: '31',
  accent: '36',
};

/** Escape sequences round each segment, or the bare text. */
export function paint(line: Line, colour: boolean): string {
  return line
    .map(({ text, tone }) => (colour && codes[tone] !== '' && text !== '' ? `\x1b[${codes[tone]}m${text}\x1b[0m` : text))
    .join('');
}

/** NO_COLOR (https://no-color.org) and TERM=dumb win over what the terminal could do; FORCE_COLOR over a pipe. */
export function wantsColour(environment: Readonly<Record<string, string | undefined>>, isTerminal: boolean): boolean {
  if (environment['NO_COLOR']) {
    return false;
  }
  return environment['FORCE_COLOR'] ? environment['FORCE_COLOR'] !== '0' : isTerminal && environment['TERM'] !== 'dumb';
}
