      * Copied into others, with a prefix in place of :TAG:.
           05  :TAG:-ADDRESS.
               10  :TAG:-STREET        PIC X(20).
               10  :TAG:-NUMBER        PIC 9(4) COMP.
               10  OLD-ZIP             PIC X(5).
               10  OLD-FEE             PIC S9(5)V99 COMP-3.
