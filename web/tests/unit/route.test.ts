import { describe, expect, it } from 'vitest';
import { formatRoute, parseRoute } from '../../src/logic/route';

const parse = (address: string) => {
  const url = new URL(address, 'http://localhost');
  return parseRoute(url.pathname, url.search);
};

describe('addresses', () => {
  it('are read', () => {
    expect(parse('/')).toEqual({ collection: null, like: null, min: null, sort: 'score' });
    expect(parse('/c/pictures')).toMatchObject({ collection: 'pictures', like: null });
    expect(parse('/c/pictures/like/412?min=0.60&sort=date')).toEqual({
      collection: 'pictures',
      like: '412',
      min: 0.6,
      sort: 'date',
    });
  });

  it('come back as they were', () => {
    for (const address of [
      '/',
      '/c/pictures',
      '/c/a_b-3?min=0.00',
      '/c/pictures/like/412?min=0.60',
      '/c/pictures/like/412?min=0.47&sort=date',
    ]) {
      expect(formatRoute(parse(address))).toBe(address);
    }
  });

  it('take nothing that is none', () => {
    expect(parse('/c/..%2fetc').collection).toBeNull();
    expect(parse('/c/Pictures').collection).toBeNull();
    expect(parse('/c/pictures/like/0').like).toBeNull();
    expect(parse('/c/pictures/like/12345678901234567').like).toBeNull();
    expect(parse('/c/pictures/like/javascript:alert(1)').like).toBeNull();
    for (const min of ['1.2', '-0.5', 'NaN', '', '0x1', '1e-3']) {
      expect(parse(`/c/pictures?min=${min}`).min).toBeNull();
    }
  });
});
