import { computed, ref } from 'vue';

export type Theme = 'light' | 'dark';

const key = 'similis.theme';
const system = window.matchMedia('(prefers-color-scheme: dark)');
const systemTheme = ref<Theme>(system.matches ? 'dark' : 'light');
const chosen = ref<Theme | null>(stored());

function stored(): Theme | null {
  try {
    const value = localStorage.getItem(key);
    return value === 'light' || value === 'dark' ? value : null;
  } catch {
    return null; // storage is forbidden here
  }
}

system.addEventListener('change', (event) => {
  systemTheme.value = event.matches ? 'dark' : 'light';
});

export const theme = computed<Theme>(() => chosen.value ?? systemTheme.value);

/// The other theme. Back at the system's own, the page follows the system again.
export function toggleTheme(): void {
  const next: Theme = theme.value === 'dark' ? 'light' : 'dark';
  chosen.value = next === systemTheme.value ? null : next;
  if (chosen.value) document.documentElement.dataset.theme = chosen.value;
  else delete document.documentElement.dataset.theme;
  try {
    if (chosen.value) localStorage.setItem(key, chosen.value);
    else localStorage.removeItem(key);
  } catch {
    // Not remembered then; it holds until the page is closed.
  }
}
