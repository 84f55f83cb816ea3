import { assert } from '../assert.ts';

/**
 * Gives every row a column of its own, so that the sum of `cost(row, column)` is least (the Hungarian method with potentials: rows are added one by one,
 * each along the cheapest chain of moves). Takes rows² × columns steps. Of several least sums always the same is given.
 */
export function leastCostMatching(
  rowCount: number,
  columnCount: number,
  cost: (row: number, column: number) => number,
): readonly number[] {
  assert(rowCount <= columnCount, 'every row finds a column');
  // Index 0 stands for "no row" and "no column", so both count from 1 in here.
  const rowPotential = new Float64Array(rowCount + 1);
  const columnPotential = new Float64Array(columnCount + 1);
  const rowOfColumn = new Int32Array(columnCount + 1);
  for (let row = 1; row <= rowCount; row++) {
    rowOfColumn[0] = row;
    const slack = new Float64Array(columnCount + 1).fill(Number.POSITIVE_INFINITY);
    const cameFrom = new Int32Array(columnCount + 1);
    const isVisited = new Uint8Array(columnCount + 1);
    let column = 0;
    do {
      isVisited[column] = 1;
      const current = at(rowOfColumn, column);
      let step = Number.POSITIVE_INFINITY;
      let next = 0;
      for (let candidate = 1; candidate <= columnCount; candidate++) {
        if (isVisited[candidate] === 1) {
          continue;
        }
        const reduced = cost(current - 1, candidate - 1) - at(rowPotential, current) - at(columnPotential, candidate);
        if (reduced < at(slack, candidate)) {
          slack[candidate] = reduced;
          cameFrom[candidate] = column;
        }
        if (at(slack, candidate) < step) {
          step = at(slack, candidate);
          next = candidate;
        }
      }
      for (let each = 0; each <= columnCount; each++) {
        if (isVisited[each] === 1) {
          const visitedRow = at(rowOfColumn, each);
          rowPotential[visitedRow] = at(rowPotential, visitedRow) + step;
          columnPotential[each] = at(columnPotential, each) - step;
        } else {
          slack[each] = at(slack, each) - step;
        }
      }
      column = next;
    } while (at(rowOfColumn, column) !== 0);
    while (column !== 0) {
      const before = at(cameFrom, column);
      rowOfColumn[column] = at(rowOfColumn, before);
      column = before;
    }
  }
  const columnOfRow = new Array<number>(rowCount);
  for (let column = 1; column <= columnCount; column++) {
    const row = at(rowOfColumn, column);
    if (row !== 0) {
      columnOfRow[row - 1] = column - 1;
    }
  }
  return columnOfRow;
}

function at(values: Float64Array | Int32Array, index: number): number {
  return values[index] as number;
}
