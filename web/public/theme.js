// Before the first paint: the theme that was chosen here, so that no other one flashes up.
(function () {
  try {
    var theme = localStorage.getItem('similis.theme');
    if (theme === 'light' || theme === 'dark') document.documentElement.dataset.theme = theme;
  } catch (error) {
    // Storage may be forbidden; then the system's theme is the one.
  }
})();
