/* A deck: keyboard, speaker's notes, and the themes of the reader's system. */
Reveal.initialize({
  hash: true,
  width: 1280,
  height: 720,
  margin: 0.06,
  center: false,
  controlsTutorial: false,
  transition: "none",
  slideNumber: "c/t",
  plugins: [RevealNotes],
});
