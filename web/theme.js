/* Light or dark before anything is drawn; the page's switch is in app.js. */
(() => {
  const dark = window.matchMedia('(prefers-color-scheme: dark)');
  const set = () => { document.documentElement.dataset.theme = localStorage.getItem('mien.theme') || (dark.matches ? 'dark' : 'light'); };
  dark.addEventListener('change', set);
  set();
})();
