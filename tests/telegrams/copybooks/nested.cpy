      * Tables within tables, counted from within and from outside.
       01  NESTED-TABLES.
           05  ORDER-COUNT             PIC 9.
           05  MATRIX OCCURS 2.
               10  ROW-LABEL           PIC X(2).
               10  CELL PIC S9(3) SIGN LEADING SEPARATE OCCURS 3.
           05  ORDERS OCCURS 1 TO 3 DEPENDING ON ORDER-COUNT.
               10  ORDER-ID            PIC 9(4).
               10  ORDER-LINES OCCURS 2 TIMES.
                   15  LINE-ITEM       PIC X(3).
                   15  LINE-PRICE      PIC S9(5)V99 COMP-3.
           05  AFTER-ORDERS            PIC X(4).
