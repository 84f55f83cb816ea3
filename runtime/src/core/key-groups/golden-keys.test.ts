// Golden vectors of key bytes and key groups. Stored state depends on them, in every store and every release: a line is never changed.
// Another encoding of keys is another `keyGroupHash`, with a table of its own.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { BinaryReader } from '../types/binary-reader.ts';
import { BinaryWriter } from '../types/binary-writer.ts';
import { t } from '../types/t.ts';
import type { Type } from '../types/type.ts';
import { formatDescriptor } from '../types/type-descriptor.ts';
import { keyGroupHash, keyGroupOf } from './key-group.ts';

const visit = t.struct({ user: t.string, shard: t.int });
const byId = t.struct({ shard: t.field(2, t.optional(t.int)), user: t.field(1, t.string) });
const path = t.array(t.string);

/** Type, value, key bytes, key groups at maxParallelism 128, 4096 and 32768. */
const vectors: readonly (readonly [unknown, unknown, string, readonly [number, number, number]])[] = [
  [t.string, '', '00', [15, 3215, 23695]],
  [t.string, 'a', '6100', [20, 916, 9108]],
  [t.string, 'hello', '68656c6c6f00', [44, 1324, 29996]],
  [t.string, 'world', '776f726c6400', [5, 2181, 26757]],
  [t.string, 'user-123456789', '757365722d31323334353637383900', [46, 1198, 25774]],
  [t.string, 'žluťoučký kůň', 'c5be6c75c5a56f75c48d6bc3bd206bc5afc58800', [2, 514, 16898]],
  [t.string, '😀', 'f09f988000', [114, 3442, 19826]],
  [t.string, '\ud800', 'eda08000', [33, 673, 8865]],
  [t.string, '\0\u0001\u0002', '010101020200', [56, 440, 440]],
  [
    t.string,
    'x'.repeat(50),
    '787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787800',
    [20, 3092, 11284],
  ],
  [t.int, 0, '80', [53, 1973, 26549]],
  [t.int, 1, '81', [92, 1244, 17628]],
  [t.int, -1, '7f', [23, 3223, 23703]],
  [t.int, 111, 'ef', [79, 3151, 19535]],
  [t.int, 112, 'f000', [46, 174, 12462]],
  [t.int, -112, '10', [33, 929, 21409]],
  [t.int, -113, '0fff', [103, 1511, 26087]],
  [t.int, 2159, 'f7ff', [38, 294, 12582]],
  [t.int, 2160, 'f80870', [33, 3489, 28065]],
  [t.int, -2160, '0800', [126, 2558, 27134]],
  [t.int, -2161, '07f78f', [50, 1330, 5426]],
  [t.int, 65_535, 'f8ffff', [66, 1218, 13506]],
  [t.int, 65_536, 'f9010000', [42, 1962, 30634]],
  [t.int, -65_537, '06feffff', [9, 1929, 6025]],
  [t.int, 16_777_216, 'fa01000000', [12, 3980, 8076]],
  [t.int, 4_294_967_295, 'faffffffff', [55, 183, 183]],
  [t.int, 4_294_967_296, 'fb0100000000', [124, 252, 252]],
  [t.int, -4_294_967_297, '04feffffffff', [7, 135, 28807]],
  [t.int, Number.MAX_SAFE_INTEGER, 'fd1fffffffffffff', [84, 3540, 24020]],
  [t.int, Number.MIN_SAFE_INTEGER, '02e0000000000001', [16, 1552, 30224]],
  [t.double, 0, '8000000000000000', [81, 849, 849]],
  [t.double, 1, 'bff0000000000000', [36, 3364, 3364]],
  [t.double, -1, '400fffffffffffff', [89, 1369, 13657]],
  [t.double, 0.1, 'bfb999999999999a', [13, 3981, 16269]],
  [t.double, -2.5e300, '01b222b455ff6cfc', [75, 2251, 14539]],
  [t.double, Number.MIN_VALUE, '8000000000000001', [85, 3669, 15957]],
  [t.double, Number.POSITIVE_INFINITY, 'fff0000000000000', [80, 3024, 11216]],
  [t.double, Number.NEGATIVE_INFINITY, '000fffffffffffff', [40, 40, 20520]],
  [t.double, Number.NaN, 'fff8000000000000', [85, 2645, 23125]],
  [t.boolean, false, '00', [15, 3215, 23695]],
  [t.boolean, true, '01', [4, 772, 4868]],
  [t.bigint, 0n, '80', [53, 1973, 26549]],
  [t.bigint, 1n, '8101', [85, 3157, 3157]],
  [t.bigint, -1n, '7ffe', [71, 2375, 22855]],
  [t.bigint, 255n, '81ff', [41, 809, 21289]],
  [t.bigint, 256n, '820100', [4, 3460, 11652]],
  [t.bigint, -256n, '7efeff', [76, 3916, 16204]],
  [t.bigint, 2n ** 64n, '89010000000000000000', [30, 542, 8734]],
  [t.bigint, -(2n ** 80n), '75feffffffffffffffffffff', [77, 3149, 15437]],
  [t.bytes, Uint8Array.of(), '00', [15, 3215, 23695]],
  [t.bytes, Uint8Array.of(0), '010100', [117, 629, 8821]],
  [t.bytes, Uint8Array.of(255, 1, 2), 'ff01020200', [116, 756, 29428]],
  [t.optional(t.int), undefined, '00', [15, 3215, 23695]],
  [t.optional(t.int), 7, '0187', [91, 3419, 15707]],
  [path, [], '00', [15, 3215, 23695]],
  [path, ['a', ''], '016100010000', [24, 2072, 18456]],
  [visit, { user: 'u1', shard: 7 }, '75310087', [77, 973, 13261]],
  [byId, { user: 'u1', shard: 7 }, '7531000187', [28, 2844, 31516]],
  [byId, { user: 'u1' }, '75310000', [93, 3933, 32605]],
];

test('keys keep the bytes and key groups that stored state has them under', () => {
  assert.equal(keyGroupHash, 'murmur3-fmix32-ordered-v1');
  for (const [given, value, hex, groups] of vectors) {
    const type = given as Type<unknown>;
    const writer = new BinaryWriter();
    type.encodeKey(value, writer);
    const bytes = writer.toBytes();
    const about = `${formatDescriptor(type.descriptor)} ${hex}`;
    assert.equal(Buffer.from(bytes).toString('hex'), hex, about);
    assert.deepEqual(
      [128, 4096, 32768].map((maxParallelism) => keyGroupOf(bytes, maxParallelism)),
      groups,
      about,
    );
    assert.deepEqual(type.decodeKey(new BinaryReader(bytes)), value, about);
  }
});
