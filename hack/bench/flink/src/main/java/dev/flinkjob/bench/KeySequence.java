package dev.flinkjob.bench;

import java.io.Serializable;

/**
 * Which key record number {@code index} has. The same arithmetic as jobs/key-sequence.ts: both engines get the same keys in
 * the same order.
 *
 * <p>The first {@code keyCount} records visit every key once; after them keys are uniform.
 */
public final class KeySequence implements Serializable {
    private static final long serialVersionUID = 1L;

    private static final double TWO_TO_THE_32 = 4294967296.0;

    /** A prime, so that it visits every key of any smaller number of keys. */
    private static final long STRIDE = 7368787L;

    private final int seed;
    private final long keyCount;
    private final double scale;

    public KeySequence(int seed, long keyCount) {
        if (keyCount < 1 || keyCount > 1_000_000_000L || keyCount % STRIDE == 0) {
            throw new IllegalArgumentException("cannot visit " + keyCount + " keys");
        }
        this.seed = seed;
        this.keyCount = keyCount;
        this.scale = keyCount / TWO_TO_THE_32;
    }

    public long keyAt(long index) {
        if (index < keyCount) {
            return index * STRIDE % keyCount;
        }
        int mixed = scramble((int) index ^ seed ^ (int) (index >>> 32) * 0x9e3779b9);
        return (long) ((mixed & 0xffffffffL) * scale);
    }

    /** A bijection of 32-bit numbers in which every bit of the input reaches every bit of the output. */
    private static int scramble(int value) {
        int mixed = (value ^ (value >>> 16)) * 0x21f0aaad;
        mixed = (mixed ^ (mixed >>> 15)) * 0x735a2d97;
        return mixed ^ (mixed >>> 15);
    }
}
