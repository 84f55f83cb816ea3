import assert from 'node:assert/strict';
import test from 'node:test';
import { workingDirectoryName } from './working-directory-name.ts';

const base = {
  lineage: 'shop/orders',
  token: { epoch: 7, executionAttempt: 2 },
  operatorUid: 'count per customer',
  subtaskIndex: 3,
};

test('a name says what it is for', () => {
  assert.match(workingDirectoryName(base), /^shop-orders-e7a2-count-per-customer-3-[0-9a-f]{12}$/);
});

test('whatever differs gives another name, also where the readable forms coincide', () => {
  const names = [
    base,
    { ...base, lineage: 'shop/order-s' },
    { ...base, lineage: 'shop-orders' },
    { ...base, token: { epoch: 8, executionAttempt: 2 } },
    { ...base, token: { epoch: 7, executionAttempt: 3 } },
    { ...base, operatorUid: 'count-per-customer' },
    { ...base, operatorUid: '数' },
    { ...base, operatorUid: '量' },
    { ...base, subtaskIndex: 4 },
  ].map(workingDirectoryName);
  assert.equal(new Set(names).size, names.length);
});

test('a name stays short and plain, so that paths below it fit', () => {
  const name = workingDirectoryName({ ...base, lineage: `${'n'.repeat(63)}/${'j'.repeat(253)}`, operatorUid: '../'.repeat(100) });
  assert.match(name, /^[A-Za-z0-9][A-Za-z0-9-]*$/);
  assert.ok(name.length <= 130, `${name.length}`);
});
