import type { OperatorListsPart, OperatorListsState } from '../checkpoint/manifest.ts';
import type { StateDeclaration } from '../job-graph/job-graph.ts';
import type { OperatorListsSlice } from '../protocol/messages.ts';

/**
 * Pure: which of the stored elements go to which subtask, by subtask. Elements are numbered through all parts, in the order of the subtasks that had
 * them. States that are not declared `now` are left behind.
 */
export function dealLists(
  { parts }: OperatorListsState,
  now: readonly StateDeclaration[],
  parallelism: number,
): readonly (readonly OperatorListsSlice[])[] {
  const states = now.map((declaration) => {
    const starts = startsOf(parts, declaration.name);
    return { name: declaration.name, starts, wanted: wantedRanges(declaration, starts, parallelism) };
  });
  return Array.from({ length: parallelism }, (_, subtaskIndex) =>
    parts.flatMap(({ handle }, partIndex): OperatorListsSlice[] => {
      const ranges = states.flatMap(({ name, starts, wanted }) => {
        const [start, end] = [starts[partIndex] ?? 0, starts[partIndex + 1] ?? 0];
        const { from, to } = wanted[subtaskIndex] ?? nothing;
        const range = { state: name, from: Math.max(from, start) - start, to: Math.min(to, end) - start };
        return range.from < range.to ? [range] : [];
      });
      return ranges.length === 0 ? [] : [{ handle, ranges }];
    }),
  );
}

interface Range {
  readonly from: number;
  /** Not included. */
  readonly to: number;
}

const nothing: Range = { from: 0, to: 0 };

/** The number of each part's first element, and at last the number of all elements. */
function startsOf(parts: readonly OperatorListsPart[], state: string): readonly number[] {
  const starts = [0];
  for (const { elementCounts } of parts) {
    const count = elementCounts.find((counted) => counted.state === state)?.count ?? 0;
    starts.push((starts.at(-1) ?? 0) + count);
  }
  return starts;
}

/** By subtask. */
function wantedRanges({ redistribution }: StateDeclaration, starts: readonly number[], parallelism: number): readonly Range[] {
  const total = starts.at(-1) ?? 0;
  const subtasks = Array.from({ length: parallelism }, (_, subtaskIndex) => subtaskIndex);
  if (redistribution === 'Union') {
    return subtasks.map(() => ({ from: 0, to: total }));
  }
  if (starts.length - 1 === parallelism) {
    return subtasks.map((subtaskIndex) => ({ from: starts[subtaskIndex] ?? 0, to: starts[subtaskIndex + 1] ?? 0 }));
  }
  // As many pieces as there are subtasks, in order, whose sizes differ by at most one.
  return subtasks.map((subtaskIndex) => ({
    from: Math.floor((subtaskIndex * total) / parallelism),
    to: Math.floor(((subtaskIndex + 1) * total) / parallelism),
  }));
}
