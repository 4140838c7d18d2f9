// All charts are known now: draw those that the reader sees, and the others when they scroll into view.
"use strict";
charts.start();
