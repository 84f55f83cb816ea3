import { setImmediate as yieldToEventLoop } from 'node:timers/promises';
import { JobError } from '../../core/job-error.ts';
import { BinaryWriter } from '../../core/types/binary-writer.ts';
import type { KeyedStateSnapshot } from '../state-backend.ts';
import { type StatePartHeader, StatePartWriter } from './state-part.ts';
import type { StateTableSnapshot } from './state-table.ts';

/** A millisecond or two of writing; records flow in between. */
const sliceSizeBytes = 256 * 1024;

/**
 * Writes what the tables held when their snapshots were opened: the timers' first, then the states' in declared order. Each key group is captured in
 * one go and written in slices.
 */
export function createKeyedStateSnapshot(
  header: StatePartHeader,
  sections: readonly StateTableSnapshot[],
  onEnd: (snapshot: KeyedStateSnapshot) => void,
): KeyedStateSnapshot {
  let ended = false;
  const end = (): void => {
    if (!ended) {
      ended = true;
      for (const section of sections) {
        section.close();
      }
      onEnd(snapshot);
    }
  };
  const snapshot: KeyedStateSnapshot = {
    async write() {
      try {
        return await writePart(header, sections, () => {
          if (ended) {
            throw new JobError('the snapshot ended before it was written', {
              domain: 'internal',
              retry: 'backoff',
              code: 'SnapshotDiscarded',
            });
          }
        });
      } finally {
        end();
      }
    },
    discard: end,
  };
  return snapshot;
}

async function writePart(
  header: StatePartHeader,
  sections: readonly StateTableSnapshot[],
  checkOpen: () => void,
): Promise<Uint8Array> {
  const part = new StatePartWriter(header);
  const { first, last } = header.keyGroups;
  const block = new BinaryWriter(sliceSizeBytes);
  const entriesWriter = new BinaryWriter(sliceSizeBytes);
  let unyieldedSizeBytes = 0;
  for (let keyGroup = first; keyGroup <= last; keyGroup++) {
    checkOpen();
    block.reset();
    for (const [sectionId, section] of sections.entries()) {
      const entries = section.capture(keyGroup - first);
      if (entries.length === 0) {
        continue;
      }
      entriesWriter.reset();
      entriesWriter.writeVarint(entries.length);
      for (const entry of entries) {
        const before = entriesWriter.length;
        section.writeEntry(entry, entriesWriter);
        unyieldedSizeBytes += entriesWriter.length - before;
        if (unyieldedSizeBytes >= sliceSizeBytes) {
          unyieldedSizeBytes = 0;
          await yieldToEventLoop();
          checkOpen();
        }
      }
      block.writeVarint(sectionId);
      block.writeBytes(entriesWriter.view());
    }
    if (block.length !== 0) {
      part.addBlock(keyGroup, block.toBytes());
    }
  }
  return part.finish();
}
