/**
 * How long a subtask's last word on itself counts. One that has fallen silent holds its group back no longer; whether it still lives is the
 * business of heartbeats.
 */
export const alignmentReportAgeMsMax = 10_000;

export interface AlignmentReport {
  readonly group: string;
  /** One subtask of one source; unique in the job. */
  readonly source: string;
  /** Where the furthest behind of its splits stands; undefined when there is nothing to wait for: no split, all idle, or over. */
  readonly minimumMs: number | undefined;
}

/** What one source subtask is told: how far behind the others of its group are. */
export interface AlignmentWord {
  readonly group: string;
  readonly source: string;
  /** Undefined: there is nobody else to be waited for. */
  readonly othersMinimumMs: number | undefined;
}

/**
 * The JobManager's view of all alignment groups in one execution attempt. Every report and every word is complete in itself, so a lost one
 * costs time and nothing else.
 *
 * A subtask is told of the others only. What it reported itself is old when it comes back; measured against that, the furthest behind would be
 * held up by nobody but itself.
 */
export class AlignmentGroups {
  readonly #groups = new Map<string, Map<string, { readonly minimumMs: number | undefined; readonly receivedAtMs: number }>>();

  report({ group, source, minimumMs }: AlignmentReport, nowMs: number): void {
    const reports = this.#groups.get(group) ?? new Map();
    this.#groups.set(group, reports);
    reports.set(source, { minimumMs, receivedAtMs: nowMs });
  }

  /** For all that have reported. */
  words(nowMs: number): readonly AlignmentWord[] {
    return [...this.#groups].flatMap(([group, reports]) => {
      let lowest: { readonly source: string; readonly minimumMs: number } | undefined;
      let secondMs: number | undefined;
      for (const [source, { minimumMs, receivedAtMs }] of reports) {
        if (minimumMs === undefined || nowMs - receivedAtMs >= alignmentReportAgeMsMax) {
          continue;
        }
        if (lowest === undefined || minimumMs < lowest.minimumMs) {
          secondMs = lowest?.minimumMs;
          lowest = { source, minimumMs };
        } else if (secondMs === undefined || minimumMs < secondMs) {
          secondMs = minimumMs;
        }
      }
      return [...reports.keys()].map((source) => ({
        group,
        source,
        othersMinimumMs: source === lowest?.source ? secondMs : lowest?.minimumMs,
      }));
    });
  }
}
