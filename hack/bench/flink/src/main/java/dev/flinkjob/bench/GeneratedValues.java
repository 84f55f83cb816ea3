package dev.flinkjob.bench;

import java.io.Serializable;
import java.util.Arrays;

/** Values of one size whose bytes follow from key and version: noise. The same arithmetic as jobs/generated-values.ts. */
final class GeneratedValues implements Serializable {
    private static final long serialVersionUID = 1L;
    private static final int NOISE_SIZE = 1024 * 1024;

    private final int size;
    private final byte[] noise;

    GeneratedValues(int size) {
        this.size = size;
        int words = (NOISE_SIZE + size + 3) >> 2;
        noise = new byte[words * 4];
        int state = 1;
        for (int index = 0; index < words; index++) {
            state ^= state << 13;
            state ^= state >>> 17;
            state ^= state << 5;
            for (int part = 0; part < 4; part++) {
                noise[index * 4 + part] = (byte) (state >>> (8 * part));
            }
        }
    }

    byte[] valueOf(int key, int version) {
        int start = startOf(key, version);
        return Arrays.copyOfRange(noise, start, start + size);
    }

    boolean isValueOf(byte[] value, int key, int version) {
        int start = startOf(key, version);
        return Arrays.equals(value, 0, value.length, noise, start, start + size);
    }

    private static int startOf(int key, int version) {
        int mixed = key ^ version * 0x9e3779b9;
        mixed = (mixed ^ (mixed >>> 16)) * 0x21f0aaad;
        mixed = (mixed ^ (mixed >>> 15)) * 0x735a2d97;
        return (mixed ^ (mixed >>> 15)) & (NOISE_SIZE - 1);
    }
}
