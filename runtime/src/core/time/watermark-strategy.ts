/** How event time is read from records and how far it may be trusted; the runtime's own shape of what `watermarks` in the API makes. */
export interface WatermarkStrategy {
  /** Event time of a record in whole milliseconds since the epoch. */
  readonly timestampMs: (record: unknown) => number;
  /** How much earlier than the latest record so far a record may be without being late. */
  readonly outOfOrdernessMs: number;
  /** After so long without a record a split no longer holds up the watermark; undefined: it does for ever. */
  readonly idleMs: number | undefined;
  readonly alignment: WatermarkAlignment | undefined;
}

/** Sources of one group run at most so far ahead of the slowest of them. */
export interface WatermarkAlignment {
  readonly group: string;
  readonly maxDriftMs: number;
}

/** Between watermarks of one source or operator; Flink's default. */
export const watermarkIntervalMs = 200;
