import { panedWindows } from './paned-windows.ts';
import { separateWindows } from './separate-windows.ts';
import { type FixedWindowAssigner, type FixedWindows, fixedWindows } from './window-assigner.ts';
import { WindowClock } from './window-clock.ts';
import { windowContents } from './window-contents.ts';
import type { WindowDefinition, WindowOperator } from './window-definition.ts';

/** More panes per window would make firing dear; then each window is kept by itself. */
const paneCountMax = 1_000;

/** Tumbling, sliding and global windows: kept in panes where that saves keeping a record several times. */
export function fixedWindowOperator(definition: WindowDefinition, assigner: FixedWindowAssigner): WindowOperator {
  const windows = fixedWindows(assigner);
  const clock = new WindowClock(windows.domain, definition.allowedLatenessMs);
  const paneMs = paneSizeMs(windows);
  // What was kept in panes of another size would be looked for where it is not. So the size is in the state's name, and a restore refuses the change.
  const inPanes = windowContents(definition.contents, `panes-${paneMs}`);
  if (paneMs !== undefined && inPanes.merge !== undefined) {
    return panedWindows({ definition, windows, clock, contents: inPanes }, { paneMs, merge: inPanes.merge });
  }
  return separateWindows({ definition, windows, clock, contents: windowContents(definition.contents, 'contents') });
}

/** Undefined: there is nothing to share. */
function paneSizeMs({ sizeMs, slideMs }: FixedWindows): number | undefined {
  if (slideMs >= sizeMs) {
    return undefined;
  }
  const paneMs = greatestCommonDivisor(sizeMs, slideMs);
  return sizeMs / paneMs <= paneCountMax ? paneMs : undefined;
}

function greatestCommonDivisor(a: number, b: number): number {
  return b === 0 ? a : greatestCommonDivisor(b, a % b);
}
