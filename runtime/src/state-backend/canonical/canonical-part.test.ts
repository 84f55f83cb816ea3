// The format itself: its bounds, its index, and what is done about damage. That it holds everything a backend can is in ../conformance.ts; that one
// backend reads what another wrote, in change-of-backend.test.ts.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { keyGroupOf } from '../../core/key-groups/key-group.ts';
import { BinaryWriter } from '../../core/types/binary-writer.ts';
import { t } from '../../core/types/t.ts';
import { assertRejects, keyBytes } from '../conformance-backends.ts';
import { listState, StateDirectories, valueState } from '../conformance-fixtures.ts';
import { compareRows, type SnapshotRow, type SnapshotRows, type StateRow } from '../rows/snapshot-row.ts';
import type { RestoredPart } from '../state-backend.ts';
import { declarationsToWrite } from '../written-declarations.ts';
import { openCanonicalRows } from './part-rows.ts';
import { writeCanonicalPart } from './write-part.ts';

const allKeyGroups = { first: 0, last: 127 };

const declarations = declarationsToWrite({
  name: 'x',
  keyType: t.string,
  namespaceType: undefined,
  states: [valueState('text', t.string), listState('words', t.string)],
  timers: true,
  maxParallelism: 128,
  keyGroups: allKeyGroups,
  nowMs: () => 0,
  onRoom: () => {},
});

function encoded(text: string): Uint8Array {
  const writer = new BinaryWriter();
  t.string.encode(text, writer);
  return writer.toBytes();
}

function textRow(name: string, text: string): StateRow {
  const key = keyBytes(t.string, name);
  const none = { namespace: undefined, mapKey: undefined, elementIndex: undefined, deathMs: undefined };
  return { type: 'State', keyGroup: keyGroupOf(key, 128), key, stateIndex: 0, ...none, value: encoded(text) };
}

function rowsOf(rows: readonly SnapshotRow[]): SnapshotRows {
  return {
    declarations,
    keyGroups: allKeyGroups,
    async *read() {
      yield rows;
    },
    close: async () => {},
  };
}

async function writeTo(directories: StateDirectories, rows: readonly SnapshotRow[]): Promise<RestoredPart> {
  const written = await writeCanonicalPart(rowsOf(rows), directories.createTarget('Canonical'));
  return directories.toRestoredPart(written, allKeyGroups);
}

async function readAll(
  part: RestoredPart,
  selection: Parameters<SnapshotRows['read']>[0] = { keyGroups: allKeyGroups },
): Promise<readonly SnapshotRow[]> {
  const found: SnapshotRow[] = [];
  for await (const batch of openCanonicalRows(part).read(selection)) {
    found.push(...batch);
  }
  return found;
}

/** As text: that bytes are a view of others is no difference. */
function plain(rows: readonly SnapshotRow[]): readonly string[] {
  const text = (value: unknown): unknown => (value instanceof Uint8Array ? Buffer.from(value).toString('hex') : value);
  return rows.map((row) =>
    JSON.stringify(
      Object.entries(row)
        .map(([name, value]) => [name, text(value)])
        .sort(),
    ),
  );
}

describe('a part in the canonical format', () => {
  const opened = StateDirectories.create({ isFast: true });
  test.after(async () => (await opened).remove());
  const sorted = (count: number, text: string) =>
    Array.from({ length: count }, (_, index) => textRow(`key ${index}`, text)).sort(compareRows);

  test('gives back the rows that it was made of, timers after the states of their key group', async () => {
    const rows = sorted(5000, 'some text');
    const [first] = rows;
    assert.ok(first !== undefined);
    const timers = [-5, 0, 2 ** 40].map(
      (timestampMs): SnapshotRow => ({
        type: 'Timer',
        keyGroup: first.keyGroup,
        domain: 'EventTime',
        timestampMs,
        key: first.key,
        namespace: undefined,
      }),
    );
    const all = [...rows, ...timers].sort(compareRows);
    const part = await writeTo(await opened, all);
    assert.deepEqual(plain(await readAll(part)), plain(all));
    assert.deepEqual(
      plain(await readAll(part, { keyGroups: { first: 17, last: 40 } })),
      plain(all.filter(({ keyGroup }) => keyGroup >= 17 && keyGroup <= 40)),
    );
  });

  test('finds one key without the others, and no timers', async () => {
    const rows = sorted(5000, 'some text');
    const part = await writeTo(await opened, rows);
    for (const row of [rows[0], rows[1234], rows.at(-1)]) {
      assert.ok(row !== undefined);
      const keyGroups = { first: row.keyGroup, last: row.keyGroup };
      assert.deepEqual(plain(await readAll(part, { keyGroups, key: row.key })), plain([row]));
    }
    const absent = keyBytes(t.string, 'nobody');
    const keyGroup = keyGroupOf(absent, 128);
    assert.deepEqual(await readAll(part, { keyGroups: { first: keyGroup, last: keyGroup }, key: absent }), []);
  });

  test('is files of bounded size, of which a reader of some key groups reads those that have them', async () => {
    const part = await writeTo(await opened, sorted(4500, 'x'.repeat(10_000)));
    assert.equal(part.files.length, 3);
    assert.ok(part.files.every(({ sizeBytes }) => sizeBytes < 16 * 1024 * 1024));
    const read: string[] = [];
    const watched = {
      ...part,
      files: part.files.map((file) => ({
        ...file,
        read: () => {
          read.push(file.name);
          return file.read();
        },
      })),
    };
    assert.ok((await readAll(watched, { keyGroups: { first: 0, last: 3 } })).length > 50);
    assert.deepEqual(read, ['rows-000000']);
    assert.equal((await readAll(watched)).length, 4500);
    assert.deepEqual(read.slice(1), ['rows-000000', 'rows-000001', 'rows-000002']);
  });

  test('has no file without rows', async () => {
    const part = await writeTo(await opened, []);
    assert.deepEqual(part.files, []);
    assert.deepEqual(await readAll(part), []);
  });

  test('does not take rows in another order, or a row twice', async () => {
    const rows = sorted(3, 'x');
    await assert.rejects(writeTo(await opened, rows.toReversed()), /ascending order/u);
    await assert.rejects(writeTo(await opened, [...rows, rows[2] as StateRow]), /ascending order/u);
  });

  test('refuses bytes that are not what was written, wherever one was changed', async () => {
    const part = await writeTo(await opened, sorted(300, 'some text'));
    const [file] = part.files;
    assert.ok(file !== undefined);
    const good = await file.read();
    for (let at = 0; at < good.length; at += 97) {
      const bytes = Uint8Array.from(good);
      bytes[at] = (bytes[at] as number) ^ 0x10;
      const changed = { ...part, files: [{ ...file, read: async () => bytes }] };
      await assert.rejects(readAll(changed), (error) =>
        /^State(Corrupt|VersionUnknown)$/u.test((error as { code: string }).code),
      );
    }
    for (let at = 0; at < part.bytes.length; at += 7) {
      const bytes = Uint8Array.from(part.bytes);
      bytes[at] = (bytes[at] as number) ^ 0x10;
      await assert.rejects(readAll({ ...part, bytes }), (error) =>
        /^State(Corrupt|VersionUnknown)$/u.test((error as { code: string }).code),
      );
    }
    await assertRejects(readAll({ ...part, files: [] }), 'StateFileDamaged');
    await assertRejects(readAll({ ...part, files: [{ ...file, read: async () => good.subarray(1) }] }), 'StateFileDamaged');
  });

  test('of a newer version is refused by name', async () => {
    const part = await writeTo(await opened, sorted(3, 'x'));
    const bytes = Uint8Array.from(part.bytes);
    bytes[4] = 2;
    await assertRejects(readAll({ ...part, bytes }), 'StateVersionUnknown');
  });
});
