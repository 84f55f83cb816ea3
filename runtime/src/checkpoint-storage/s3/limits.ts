const kibibyte = 1024;
const mebibyte = 1024 * kibibyte;

/** Everything about S3 that has a bound, with the reason. */
export const limits = {
  /** A larger object is put in parts: what is repeated after a reset stays small, and several connections carry it. */
  singlePutSizeBytesMax: 8 * mebibyte,
  /** S3 takes parts from 5 MiB. Each one being sent is in memory whole, so that a try can be repeated. */
  partSizeBytes: 8 * mebibyte,
  /** Of S3, per upload; above 80 GB parts become larger. */
  partCountMax: 10_000,
  /** The server copies; a part costs us a connection and no bytes. S3 takes up to 5 GiB. */
  copyPartSizeBytes: 256 * mebibyte,
  /** A larger object is fetched in ranges, by several connections: one gives 50 to 100 MB/s, whatever the network can do. */
  singleGetSizeBytesMax: 16 * mebibyte,
  rangeSizeBytes: 8 * mebibyte,
  /** Parts or ranges of one object at a time, so that a large one does not keep all others waiting. */
  partsPerObjectMax: 8,

  /** Of one process, all its threads together: at 50 to 100 MB/s each, more than 10 Gbit/s. */
  connectionCountMax: 32,
  /** Beside the transfers: log entries, manifests and listings never wait behind gigabytes of state. */
  connectionCountReserved: 8,
  /** Bytes of uploads in memory, of one process; each thread may have at least one part. */
  uploadBytesInFlightMax: 32 * mebibyte,
  /** What loading the SDK takes outside the heap, once and for every further thread: measured 24 MiB, and up to 5. */
  sdkSizeBytes: 24 * mebibyte,
  sdkThreadSizeBytes: 5 * mebibyte,
  connectionCountPerThreadMin: 4,

  /** Keys in one request to delete; of S3. */
  deleteCountMax: 1_000,
  /** Keys that failed to be deleted and are named in the message. */
  deleteFailuresNamedMax: 3,

  connectTimeoutMs: 5_000,
  /** One try of a request, up to the head of its answer: this, and the time that its bytes take at the rate below. */
  requestTimeoutMs: 15_000,
  /** A server that copies answers when it has copied. */
  copyTimeoutMs: 120_000,
  /** A download from which nothing comes for so long is broken off and continued. */
  silenceTimeoutMs: 15_000,
  /** Slower than this is broken. */
  bytesPerSecondMin: 256 * kibibyte,
  /** One call with all its tries; callers try again, and decide how often. */
  callDeadlineMs: 60_000,
  tryCountMax: 6,
  retryDelayFirstMs: 100,
  retryDelayMaxMs: 5_000,
  /** Whole uploads that somebody else's request for the name made void (409), and downloads whose checksum is wrong. */
  objectTryCountMax: 3,
  /** What no live upload is: its parts and tries are over long before. */
  staleUploadAgeMs: 24 * 3_600_000,
} as const;
