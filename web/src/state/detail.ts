import { computed } from 'vue';
import { go, route } from './router';
import { above, below, search } from './search';

/// The hit that is open beside the grid.

export const shown = computed(() => [...above.value, ...below.value]);
export const detailIndex = computed(() =>
  route.detail === undefined ? -1 : shown.value.findIndex((h) => h.id === route.detail),
);
export const detailHit = computed(() =>
  search.phase === 'done' ? (shown.value[detailIndex.value] ?? null) : null,
);

export function openDetail(id: string): void {
  go({ detail: id }, { replace: route.detail !== undefined });
}

export function closeDetail(): void {
  if (route.detail !== undefined) history.back();
}

export function moveDetail(step: number): void {
  const next = shown.value[detailIndex.value + step];
  if (detailIndex.value >= 0 && next) openDetail(next.id);
}
