import { reactive, readonly } from 'vue';
import { formatRoute, parseRoute, type EntryState, type Route } from '../logic/route';

interface Place extends Route, EntryState {}

export type Change = Partial<Route> & { [K in keyof EntryState]?: string | undefined };

const place = reactive<Place>(read());
export const route = readonly(place);

function read(): Place {
  const state = (history.state ?? {}) as EntryState;
  return { ...parseRoute(location.pathname, location.search), ...pick(state) };
}

function pick(state: { [K in keyof EntryState]?: string | undefined }): EntryState {
  return {
    ...(typeof state.upload === 'string' ? { upload: state.upload } : {}),
    ...(typeof state.detail === 'string' ? { detail: state.detail } : {}),
  };
}

function set(next: Place): void {
  delete place.upload;
  delete place.detail;
  Object.assign(place, next);
}

window.addEventListener('popstate', () => {
  const next = read();
  // With a hit opened or closed it is still the same answer: cut-off and order stay as they are now.
  if (next.detail !== place.detail && sameQuery(next, place)) {
    next.min = place.min;
    next.sort = place.sort;
    history.replaceState(pick(next), '', formatRoute(next));
  }
  set(next);
});

function sameQuery(a: Place, b: Place): boolean {
  return a.collection === b.collection && a.like === b.like && a.upload === b.upload;
}

/// Goes to another place: `change` over what is there now. `replace` keeps the history as long as it
/// is, for what somebody would not want to step back through (a slider).
export function go(change: Change, options: { replace?: boolean } = {}): void {
  const wanted = { ...place, ...change };
  const { collection, like, min, sort } = wanted;
  const next: Place = { collection, like, min, sort, ...pick(wanted) };
  if (options.replace) history.replaceState(pick(wanted), '', formatRoute(next));
  else history.pushState(pick(wanted), '', formatRoute(next));
  set(next);
}
