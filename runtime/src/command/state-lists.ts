import { exitCodes } from '../api/process-config.ts';
import type { ListElementSnapshot, OperatorSnapshot } from '../state-reader/operator-snapshot.ts';
import { formatTable } from './format-table.ts';
import { listElementJson } from './state-json.ts';

/** How much of operator state is printed, and how. */
interface ListSelection {
  /** All lists of the operator if undefined. */
  readonly state: string | undefined;
  readonly limit: number;
  readonly output: string | undefined;
}

/** Elements of operator state, for `state get` and `state scan`. Says on standard error when there are more. */
export async function printLists(operator: OperatorSnapshot, { state, limit, output }: ListSelection): Promise<number> {
  const found: ListElementSnapshot[] = [];
  let isMore = false;
  for await (const element of operator.listElements({ state })) {
    if (found.length === limit) {
      isMore = true;
      break;
    }
    found.push(element);
  }
  const lines = found.map((element) => listElementJson(operator, element));
  const text =
    output === 'json'
      ? lines.map((line) => JSON.stringify(line))
      : formatTable(
          ['SUBTASK', 'STATE', 'AT', 'VALUE'],
          lines.map(({ subtask, operatorState, index, value }) => [
            ...[String(subtask), String(operatorState), String(index)],
            cutCell(JSON.stringify(value)),
          ]),
        );
  process.stdout.write(text.map((line) => `${line}\n`).join(''));
  if (isMore) {
    process.stderr.write(`These are the first ${limit}; there are more (--limit N, or state export).\n`);
  }
  return exitCodes.ok;
}

/** A cell of a table; `-o json` has all of it. */
export function cutCell(text: string): string {
  return text.length <= cellLengthMax ? text : `${text.slice(0, cellLengthMax)}…`;
}

const cellLengthMax = 120;
