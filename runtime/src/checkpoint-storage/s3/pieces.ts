export interface Piece {
  readonly index: number;
  readonly from: number;
  readonly sizeBytes: number;
}

/** A whole cut into pieces of one size, the last one as long as the rest. None of nothing. */
export function cut(sizeBytes: number, pieceSizeBytes: number): readonly Piece[] {
  return Array.from({ length: Math.ceil(sizeBytes / pieceSizeBytes) }, (_, index) => ({
    index,
    from: index * pieceSizeBytes,
    sizeBytes: Math.min(pieceSizeBytes, sizeBytes - index * pieceSizeBytes),
  }));
}

/**
 * Handles all pieces, so many at a time, and gives the results in their order. After a failure no more are begun, those under way are waited
 * for, and the first failure is thrown.
 */
export async function forEachPiece<T>(
  pieces: readonly Piece[],
  concurrency: number,
  handle: (piece: Piece) => Promise<T>,
): Promise<readonly T[]> {
  const results: T[] = [];
  const waiting = [...pieces];
  let failure: { readonly error: unknown } | undefined;
  const work = async (): Promise<void> => {
    for (let piece = waiting.shift(); piece !== undefined && failure === undefined; piece = waiting.shift()) {
      try {
        results[piece.index] = await handle(piece);
      } catch (error) {
        failure ??= { error };
      }
    }
  };
  await Promise.all(Array.from({ length: concurrency }, work));
  if (failure !== undefined) {
    throw (failure as { readonly error: unknown }).error;
  }
  return results;
}
