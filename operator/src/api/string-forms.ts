import { cronPattern } from './cron-schedule.ts';
import { checkpointStorageUrl, savepointUrl } from './flink-job-spec.ts';
import { cpuPattern, sizePattern } from './quantity.ts';

/** What a text has to look like, and that in words: a pattern explains nothing to whoever breaks it. */
interface StringForm {
  readonly pattern: RegExp;
  /** Completes "must be" and "expected". */
  readonly meaning: string;
  /** API servers want to know how long a text can be before they match it against anything. */
  readonly lengthMax: number;
}

export const dnsLabelBeginningWithLetter = /^[a-z]([-a-z0-9]*[a-z0-9])?$/;

const stringForms: readonly StringForm[] = [
  // An object's key in a bucket has 1,024 bytes at the most.
  { pattern: checkpointStorageUrl, meaning: 'a URL such as s3://bucket/prefix or file:///directory', lengthMax: 1024 },
  { pattern: savepointUrl, meaning: 'a URL such as s3://bucket/prefix or file:///directory', lengthMax: 1024 },
  { pattern: cpuPattern, meaning: 'an amount of CPU such as "2" or 500m', lengthMax: 32 },
  { pattern: sizePattern, meaning: 'an amount of bytes such as 2Gi or 512Mi', lengthMax: 32 },
  {
    pattern: dnsLabelBeginningWithLetter,
    meaning: 'lower-case letters, digits and dashes, beginning with a letter (names: at most 45 characters)',
    lengthMax: 63,
  },
  { pattern: /^[a-z0-9]([-a-z0-9]*[a-z0-9])?$/, meaning: 'lower-case letters, digits and dashes', lengthMax: 63 },
  {
    pattern: /^[A-Za-z_][A-Za-z0-9_]*$/,
    meaning: 'letters, digits and underscores, not beginning with a digit',
    lengthMax: 253,
  },
  {
    pattern: cronPattern,
    meaning: 'five fields: minute, hour, day of month, month, day of week',
    lengthMax: 100,
  },
  { pattern: /^(\/[^/:]+)+$/, meaning: 'an absolute path such as /data, without a colon', lengthMax: 1024 },
];

export function stringFormOf(pattern: string): StringForm | undefined {
  return stringForms.find((form) => form.pattern.source === pattern);
}
