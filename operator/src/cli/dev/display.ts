import { eventText, summaryText } from '../live-view/plain-lines.ts';
import { render } from '../live-view/render.ts';
import { Screen, type TerminalOutput } from '../live-view/screen.ts';
import type { LiveView, ViewEvent } from '../live-view/view-state.ts';

/** Where a dev session shows itself. */
export interface Display {
  /** Called several times a second. */
  update(view: LiveView): void;
  event(event: ViewEvent): void;
  output(process: string, line: string): void;
  /** Something to read in any case: a mistake in the file, what `--fresh` means, what to try. */
  notice(lines: readonly string[]): void;
  /** Gives the terminal back. Notices come out as plain lines from then on. */
  close(): void;
}

/** Draws in place; notices and events are parts of the view. */
export function liveDisplay(
  terminal: TerminalOutput,
  options: { readonly colour: boolean; readonly print: (line: string) => void },
): Display {
  let last: LiveView | undefined;
  let open = true;
  const draw = () => {
    if (last !== undefined) {
      screen.draw(render(last, screen.size));
    }
  };
  const screen = new Screen(terminal, { colour: options.colour, redraw: draw });
  return {
    update: (view) => {
      last = view;
      draw();
    },
    event: () => undefined,
    output: () => undefined,
    notice: (lines) => {
      if (!open) {
        lines.forEach(options.print);
      }
    },
    close: () => {
      open = false;
      screen.close();
    },
  };
}

const summaryIntervalMs = 10_000;
const endedStates: ReadonlySet<string> = new Set(['Finished', 'Suspended', 'Stopped', 'Failed', 'Canceled', 'Deleted']);

/** One line for each thing that happens. */
export function plainDisplay(print: (line: string) => void): Display {
  let summarizedAtMs: number | undefined;
  let summarizedState: string | undefined;
  return {
    update: (view) => {
      summarizedAtMs ??= view.nowMs;
      const { label } = view.state;
      // A job that rests has nothing new to say.
      const resting = endedStates.has(label) && summarizedState === label;
      if (view.nowMs - summarizedAtMs >= summaryIntervalMs && !resting) {
        summarizedAtMs = view.nowMs;
        summarizedState = label;
        print(`flinkjob | ${summaryText(view)}`);
      }
    },
    event: (event) => print(`flinkjob | ${eventText(event)}`),
    output: (process, line) => print(`${process} | ${line}`),
    notice: (lines) => {
      for (const line of lines) {
        print(line === '' ? '' : `flinkjob | ${line}`);
      }
    },
    close: () => undefined,
  };
}
