/** A file on a local disk, as far as it tells what is in it. */
export interface FileIdentity {
  /** What the database calls it. Another database calls another file so. */
  readonly name: string;
  readonly sizeBytes: number;
  /** Equal only of links to one file that is never changed. */
  readonly identity: string;
}

/**
 * Whether a database's file is one that came out of checkpoint storage, so that its name there is still its name. What a file is called says nothing:
 * numbers begin anew with every database, and files that are brought together get new ones. Taking one for another would be found out by
 * the restore of some later checkpoint, when it is too late.
 */
export function isSameContent(file: FileIdentity, restored: FileIdentity): boolean {
  return file.identity === restored.identity && file.sizeBytes === restored.sizeBytes;
}
