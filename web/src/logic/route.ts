/// What the address says. An uploaded query picture has no address of its own: the history entry
/// remembers its key, so that reload and back find it in this tab only.

export interface Route {
  collection: string | null; // null: whichever comes first
  like: string | null; // id of a stored picture
  min: number | null; // cut-off; null: the model's
  sort: 'score' | 'date';
}

export interface EntryState {
  upload?: string; // key of the uploaded query picture
  detail?: string; // id of the hit whose detail is open
}

const namePattern = /^[a-z0-9][a-z0-9_-]{0,62}$/;
const idPattern = /^[1-9][0-9]{0,15}$/;

export function parseRoute(path: string, search: string): Route {
  const route: Route = { collection: null, like: null, min: null, sort: 'score' };
  const parts = path.split('/').filter((p) => p !== '');
  if (parts[0] === 'c' && parts[1] !== undefined && namePattern.test(parts[1])) {
    route.collection = parts[1];
    if (parts[2] === 'like' && parts[3] !== undefined && idPattern.test(parts[3])) {
      route.like = parts[3];
    }
  }
  const params = new URLSearchParams(search);
  const min = params.get('min');
  if (min !== null && /^[01](\.[0-9]+)?$/.test(min)) {
    const value = Number(min);
    if (value >= 0 && value <= 1) route.min = Math.round(value * 100) / 100;
  }
  if (params.get('sort') === 'date') route.sort = 'date';
  return route;
}

export function formatRoute(route: Route): string {
  if (route.collection === null) return '/';
  let path = `/c/${route.collection}`;
  if (route.like !== null) path += `/like/${route.like}`;
  const params = new URLSearchParams();
  if (route.min !== null) params.set('min', route.min.toFixed(2));
  if (route.sort !== 'score') params.set('sort', route.sort);
  const text = params.toString();
  return text ? `${path}?${text}` : path;
}
