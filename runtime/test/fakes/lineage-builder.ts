import type { EntryDraft, LineageEntry } from '../../src/core/lineage/entries.ts';
import { lineageFormat } from '../../src/core/lineage/entries.ts';
import { decideOpen, type OpenRequest } from '../../src/core/lineage/open.ts';
import { applyEntry, emptyView, type LineageView } from '../../src/core/lineage/view.ts';

type Draft<T extends EntryDraft['type']> = Extract<EntryDraft, { type: T }>;

/** Entries as a JobManager would write them, without storage: each method appends one. */
export class LineageBuilder {
  view: LineageView = emptyView;
  readonly entries: LineageEntry[] = [];
  #epoch = 0;
  nowMs = 1_000;

  append(draft: EntryDraft, header: { readonly epoch?: number; readonly oldestNumber?: number } = {}): this {
    this.nowMs += 10;
    const number = this.view.headNumber + 1;
    const entry: LineageEntry = {
      format: lineageFormat,
      number,
      nonce: `nonce-${number}`,
      epoch: header.epoch ?? this.#epoch,
      writtenAtMs: this.nowMs,
      oldestNumber: header.oldestNumber ?? this.view.oldestNumber,
      ...draft,
    };
    this.entries.push(entry);
    this.view = applyEntry(this.view, entry);
    return this;
  }

  open(overrides: Partial<OpenRequest> = {}): this {
    const decision = decideOpen(this.view, openRequest({ nowMs: this.nowMs, ...overrides }));
    if (decision.type === 'Refuse') {
      throw new Error(decision.error.message);
    }
    this.#epoch = decision.epoch;
    return this.append(decision.entry);
  }

  complete(checkpointId: number, overrides: Partial<Draft<'Completed'>> = {}): this {
    const kind = overrides.kind ?? 'Checkpoint';
    const folder = `${kind === 'Savepoint' ? 'savepoints/' : 'chk-'}${String(checkpointId).padStart(6, '0')}-e${this.#epoch}`;
    return this.append({
      type: 'Completed',
      checkpointId,
      kind,
      manifest: { path: `${folder}/_metadata`, sizeBytes: 10, sha256: 'ab' },
      stateSizeBytes: 100,
      triggeredAtMs: this.nowMs,
      operationId: undefined,
      ...overrides,
    });
  }

  condemn(...names: readonly string[]): this {
    return this.append({ type: 'Condemned', names });
  }
}

export function openRequest(overrides: Partial<OpenRequest> = {}): OpenRequest {
  return {
    owner: 'cluster-a/default/job',
    adoptFrom: undefined,
    attempt: { number: 1, token: 'one' },
    podUid: 'pod-1',
    revision: 'r1',
    restore: { from: 'Latest' },
    nowMs: 1_000,
    ...overrides,
  };
}
