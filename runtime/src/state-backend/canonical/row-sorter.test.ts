import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { t } from '../../core/types/t.ts';
import { keyBytes } from '../conformance-backends.ts';
import { valueState } from '../conformance-fixtures.ts';
import { compareRows, type SnapshotRow } from '../rows/snapshot-row.ts';
import { RowSorter } from './row-sorter.ts';

const keyGroups = { first: 0, last: 127 };
const declarations = {
  ...{ keyGroupHash: 'any', maxParallelism: 128, keyType: t.int.descriptor },
  states: [valueState('count', t.int).declaration],
};

function row(index: number): SnapshotRow {
  return {
    ...{ type: 'State', keyGroup: index % 128, key: keyBytes(t.int, index), stateIndex: 0, value: Uint8Array.of(0) },
    ...{ namespace: undefined, mapKey: undefined, elementIndex: undefined, deathMs: undefined },
  };
}

async function sorted(rows: readonly SnapshotRow[], memorySizeBytesMax: number): Promise<readonly SnapshotRow[]> {
  const parent = await mkdtemp(join(tmpdir(), 'flinkjob-sort-'));
  const directory = join(parent, 'runs');
  const twice = (): Error => new Error('a row came twice');
  const sorter = new RowSorter({ declarations, keyGroups, directory, twice, memorySizeBytesMax });
  try {
    for (const each of rows) {
      await sorter.add(each);
    }
    const found: SnapshotRow[] = [];
    for await (const batch of (await sorter.finish()).read({ keyGroups })) {
      found.push(...batch);
    }
    return found;
  } finally {
    await sorter.close();
    assert.equal(existsSync(directory), false);
    await rm(parent, { recursive: true });
  }
}

/** Every number below `count` once, in an order that has nothing to do with theirs. */
function shuffled(count: number): readonly SnapshotRow[] {
  return Array.from({ length: count }, (_, index) => row((index * 7919) % count));
}

function keysOf(rows: readonly SnapshotRow[]): readonly string[] {
  return rows.map(({ keyGroup, key }) => `${keyGroup} ${Buffer.from(key).toString('hex')}`);
}

describe('sorting rows', () => {
  for (const [where, memorySizeBytesMax] of [
    ['in memory', 1_000_000_000],
    ['in some runs on disk', 500_000],
    ['in more runs than are merged at once', 20_000],
  ] as const) {
    test(`gives all of them in their order, ${where}`, async () => {
      const rows = shuffled(5000);
      assert.deepEqual(keysOf(await sorted(rows, memorySizeBytesMax)), keysOf(rows.toSorted(compareRows)));
    });

    test(`finds a row that comes twice, ${where}`, async () => {
      const rows = shuffled(5000);
      for (const again of [rows[0], rows[4999]]) {
        await assert.rejects(sorted([...rows, again as SnapshotRow], memorySizeBytesMax), /a row came twice/u);
      }
    });
  }

  test('gives nothing of nothing', async () => {
    assert.deepEqual(await sorted([], 1000), []);
  });
});
