/**
 * A page: records of one stream as bytes, as they travel between threads and processes. Pages live in memory and on the wire only and are
 * never stored; the version tells a TaskManager of another release what it cannot read.
 *
 *     u8      format version
 *     u8      flags: bit 0, the records have event times; the others are 0
 *     varint  number of records
 *     zigzag… with event times: the first one, then for each other record its difference to the one before
 *     records one after the other, by their declared type
 *
 * Event times come before the records because a difference mostly takes one or two bytes instead of eight, and so that they can be read
 * alone.
 */
export const pageFormat = 1;

export const timedFlag = 1;
