import { type Line, paint } from './style.ts';
import { textWidth } from './text-width.ts';

/** The part of a terminal's output stream that the screen needs. */
export interface TerminalOutput {
  readonly columns?: number;
  readonly rows?: number;
  write(text: string): boolean;
  on(event: 'resize', listener: () => void): unknown;
  off(event: 'resize', listener: () => void): unknown;
}

/** Sequences for everything the screen does to a terminal. */
const sequences = {
  enter: '\x1b[?1049h\x1b[?25l\x1b[2J',
  leave: '\x1b[?25h\x1b[?1049l',
  /** Terminals that know it show a frame at once; the others ignore it. */
  beginFrame: '\x1b[?2026h',
  endFrame: '\x1b[?2026l',
  clear: '\x1b[2J',
  clearToEndOfLine: '\x1b[K',
} as const;

/**
 * Draws frames in place on the alternate screen, so that the shell's own text is there again afterwards. Only lines that changed are
 * written: nothing flickers, and a slow connection copes.
 */
export class Screen {
  readonly #output: TerminalOutput;
  readonly #colour: boolean;
  readonly #onResize: () => void;
  #shown: string[] = [];
  #open = true;

  constructor(output: TerminalOutput, options: { readonly colour: boolean; readonly redraw: () => void }) {
    this.#output = output;
    this.#colour = options.colour;
    this.#onResize = () => {
      this.#shown = [];
      this.#output.write(sequences.clear);
      options.redraw();
    };
    output.on('resize', this.#onResize);
    output.write(sequences.enter);
  }

  get size(): { readonly columns: number; readonly rows: number } {
    return { columns: this.#output.columns ?? 80, rows: this.#output.rows ?? 24 };
  }

  draw(lines: readonly Line[]): void {
    if (!this.#open) {
      return;
    }
    const next = lines.map((line) => paint(line, this.#colour));
    let frame = '';
    for (let row = 0; row < Math.max(next.length, this.#shown.length); row++) {
      const text = next[row] ?? '';
      if (this.#shown[row] !== text) {
        frame += `\x1b[${row + 1};1H${text}`;
        // In the last column the cursor stands on the last character, and clearing would take that away.
        const width = (lines[row] ?? []).reduce((sum, segment) => sum + textWidth(segment.text), 0);
        frame += width < this.size.columns ? sequences.clearToEndOfLine : '';
      }
    }
    this.#shown = next;
    if (frame !== '') {
      this.#output.write(`${sequences.beginFrame}${frame}${sequences.endFrame}`);
    }
  }

  /** Gives the terminal back; safe to call twice, also while the process ends. */
  close(): void {
    if (this.#open) {
      this.#open = false;
      this.#output.off('resize', this.#onResize);
      this.#output.write(sequences.leave);
    }
  }
}
